// One change in full: the line that did it, the calls that led to it, who, when, and the values before and after.

import { clean, preview } from "./values.js";
import { isMissing } from "./replay.js";
import { actorName, dateAndTime, element, exactTime, plural } from "./dom.js";

const MUCH = 20_000; // characters of one value
const MANY = 200; // rows

export function showDetails(box, log, world, at) {
  box.replaceChildren(...(at < 0 ? [element("p", "dim", "Before the first change.")] : parts(log, world, at)));
  if (box.classList.contains("scrolled")) box.scrollTop = 0; // only then: it costs a layout
  box.classList.remove("scrolled");
  box.onscroll = () => box.classList.add("scrolled");
}

function* parts(log, world, at) {
  const body = log.body[at];
  const trouble = world.trouble(at);
  if (trouble) yield element("p", "trouble", clean(trouble));
  const frames = log.stack[at] < 0 ? [] : log.stacks[log.stack[at]];
  const culprit = frames[log.culprit[at]];
  if (culprit) {
    yield element("h3", "", "Culprit");
    yield stackOf([culprit]);
    if (frames.length > 1) yield folded(`Stack, ${plural(frames.length, "call")}, innermost last`, stackOf(frames, culprit));
  }
  yield factsOf(log, at);
  if (body.g) yield element("p", "trouble", `Changes ${body.g[0] ?? "?"} to ${body.g[1] ?? "?"} are missing from the log${body.g[2] ? `: ${clean(body.g[2])}` : ""}. The data shown from here on may be wrong.`);
  yield* values(body);
  if (culprit) return;
  yield element("h3", "", frames.length > 1 ? "Stack, innermost last" : "Stack");
  const between = body.x?.between;
  if (frames.length) yield stackOf(frames);
  else if (Array.isArray(between)) yield element("p", "dim", `Not recorded: the change was found by comparing. It was made between changes ${between.map((seq) => clean(seq)).join(" and ")}.`);
  else yield element("p", "dim", "Not recorded: pydatatracker run --stack, or tracking_capture_stack=True, records the calls.");
}

function factsOf(log, at) {
  const list = element("dl");
  const fact = (name, text, title = "") => {
    if (text === "" || text === null || text === undefined) return;
    const value = element("dd", "", clean(text));
    value.title = title;
    list.append(element("dt", "", name), value);
  };
  fact("seq", log.seq[at]);
  fact("time", dateAndTime(log.time[at]), exactTime(log.time[at]));
  fact("actor", actorName(log.who(at)));
  fact("action", `${log.action(at)}${log.methods[log.method[at]] ? ` by ${log.methods[log.method[at]]}` : ""}`);
  fact("path", log.where(at));
  for (const path of (log.body[at].p ?? []).slice(1)) fact("also at", path.map((key) => `/${preview(key)}`).join(""));
  const others = (log.body[at].m ?? []).flatMap(([root, paths]) => paths.map((path) => [root, path]));
  for (const [root, path] of others.slice(0, 20)) {
    fact("also at", log.label(root) + path.map((key) => `/${preview(key)}`).join(""));
  }
  const more = others.length - Math.min(others.length, 20) + (log.body[at].c ?? 0);
  if (more) fact("also at", `${more.toLocaleString()} more`);
  fact("in", log.types[log.type[at]]);
  if (log.context[at] >= 0) {
    for (const [key, value] of Object.entries(log.contexts[log.context[at]])) fact(key, typeof value === "string" ? value : preview(value, 400));
  }
  fact("transaction", log.transactions[log.transaction[at]]);
  const root = log.roots[log.root[at]];
  fact("process", root && root[0] !== null ? `${root[0]}${log.threads[log.thread[at]] ? `, ${log.threads[log.thread[at]]}` : ""}` : log.threads[log.thread[at]]);
  return list;
}

function* values(body) {
  if ("b" in body) yield* value("Before", body.b, "remove");
  if ("a" in body) yield* value("After", body.a, "add");
  if (body.s) {
    const [start, removed, inserted] = body.s;
    if (removed.length) yield* value(`${plural(removed.length, "item")} removed at position ${start}`, removed, "remove");
    if (inserted.length) yield* value(`${plural(inserted.length, "item")} inserted at position ${start}`, inserted, "add");
  }
  if (body.o) yield* value("New order, by former position", body.o, "update");
  if (!body.r) return;
  yield element("h3", "", plural(body.r.length, "item"));
  const table = element("table", "rows");
  for (const [key, before, after] of body.r.slice(0, MANY)) {
    const row = element("tr");
    row.append(
      element("th", "", preview(key, 200)),
      element("td", "is-remove", isMissing(before) ? "" : preview(before, 400)),
      element("td", "is-add", isMissing(after) ? "" : preview(after, 400)),
    );
    table.append(row);
  }
  yield table;
  if (body.r.length > MANY) yield element("p", "dim", `and ${body.r.length - MANY} more`);
}

function* value(title, json, action) {
  yield element("h3", "", title);
  yield element("pre", `is-${action}`, preview(json, MUCH));
}

function folded(title, content) {
  const box = element("details");
  box.append(element("summary", "", title), content);
  return box;
}

// The calls, innermost last as in a traceback; the culprit is marked, or else the innermost.
function stackOf(frames, culprit = frames[frames.length - 1]) {
  const list = element("ol", "stack");
  for (const frame of frames.slice(-MANY)) {
    const item = element("li");
    if (frame === null || typeof frame !== "object") item.textContent = clean(frame);
    else {
      item.append(element("span", "file", `${clean(frame.filename ?? "?")}:${clean(frame.lineno ?? "?")}`), " in ", element("b", "", clean(frame.name ?? "?")));
      if (frame.line) item.append(element("code", "", clean(frame.line)));
    }
    if (frame === culprit) {
      item.className = "made";
      item.title = "the line that made the change";
    }
    list.append(item);
  }
  return list;
}
