// The selected changes as a file: lines of a log, a JSON Patch, or the JSON Patch that undoes them.

import { Dict, List, PSet, isContainer, preview } from "./values.js";
import { isMissing } from "./replay.js";
import { byId, element, exactTime, plural } from "./dom.js";
import { Refusal, patchOf, undoOf } from "./operations.js";

const FORMS = { jsonl: "application/jsonl", patch: "application/json-patch+json", undo: "application/json-patch+json" };
const SHOWN_TEXT = 2_000; // characters of the result
const LONGEST = 4300; // digits that Python reads

// A value as JSON text that Python reads as the log has it.
export function jsonOf(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(",")}]`;
  if (value instanceof List) return jsonOf(value.items);
  if (isContainer(value)) return containerOf(value, [...value.map.values()]);
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.$float === "string" && Number.isFinite(Number(value.$float))) return value.$float;
  if (keys.length === 1 && /^-?0x[0-9a-f]+$/.test(value.$int)) {
    const digits = (value.$int[0] === "-" ? "-" : "") + BigInt(value.$int.replace("-", ""));
    if (digits.length <= LONGEST) return digits;
  }
  return `{${keys.map((key) => `${JSON.stringify(key)}:${jsonOf(value[key])}`).join(",")}}`;
}

function containerOf(value, entries) {
  if (value instanceof PSet) return `{"$set":[${entries.map(({ key }) => jsonOf(key)).join(",")}]}`;
  if (entries.every(({ key }) => typeof key === "string" && key[0] !== "$")) {
    return `{${entries.map(({ key, value: item }) => `${JSON.stringify(key)}:${jsonOf(item)}`).join(",")}}`;
  }
  return `{"$dict":[${entries.map(({ key, value: item }) => `[${jsonOf(key)},${jsonOf(item)}]`).join(",")}]}`;
}

// A change as a line of a log, without what the page does not have; "" for a line of 0.1.0.
export function lineOf(log, at) {
  const body = log.body[at];
  if (body.g) return JSON.stringify({ v: 1, action: "gap", from: body.g[0], to: body.g[1], reason: body.g[2] });
  if ("w" in body) return "";
  const [pid, root] = log.roots[log.root[at]] ?? [null, undefined], also = (body.m ?? []).flatMap(([number, paths]) => paths.map((path) => [log.roots[number][1], path]));
  const [context, stack] = [log.contexts[log.context[at]], log.stacks[log.stack[at]]];
  const fields = {
    v: 1, seq: log.seq[at] ?? undefined, created_time: exactTime(log.time[at]).replace("Z", "+00:00") || undefined, action: log.action(at),
    method: log.methods[log.method[at]], type: log.types[log.type[at]], pointer: log.places[log.place[at]][0], path: log.path(at), before: body.b, after: body.a,
    splice: body.s, order: body.o, changes: body.r, paths: body.p, actor: log.who(at) || undefined, context, transaction: log.transactions[log.transaction[at]],
    root, also: also.length ? also : undefined, stack, culprit: stack && log.culprit[at] >= 0 ? log.culprit[at] : undefined,
    pid: pid ?? undefined, thread: log.threads[log.thread[at]],
  };
  return `{${Object.entries(fields).filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => `${JSON.stringify(name)}:${jsonOf(value)}`).join(",")}}`;
}

const quoted = (text) => (/^[\w./=:,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// The command that prints the same, "" if its options cannot express the selection.
export function commandOf(log, form, filters, mine, root) {
  if (filters.text || filters.span?.includes("#") || log.unlisted.size || !log.size) return "";
  const file = log.name.includes(", ") || !log.name.endsWith("l") ? "LOG" : quoted(log.name), options = [];
  for (const [option, value] of [["--path", filters.glob], ["--actor", filters.actor?.slice(1)], ["--action", filters.action]]) {
    if (value !== undefined && (value !== "" || (option === "--actor" && filters.actor))) options.push(option, quoted(value));
  }
  if (form !== "jsonl" && log.roots.length > 1) options.push("--root", `'#${root + 1}'`);
  if (form === "patch" && !mine.length) return "";
  const seqs = form === "patch" ? [log.seq[mine[0]] - 1, log.seq[mine[mine.length - 1]]] : [];
  if (form === "patch") return ["pydatatracker patch", ...options, file, `${Math.max(0, seqs[0])}..${seqs[1]}`].join(" ");
  if (filters.span) options.push("--seq", quoted(filters.span));
  return [form === "jsonl" ? "pydatatracker show --json" : "pydatatracker undo-script", ...options, file].join(" ");
}

// { text, notes, command } of the selected changes in a form. The text is "" if it cannot be made.
export function exported(log, world, form, selected, filters) {
  const roots = [...new Set(selected.flatMap((at) => log.views(at).map(([root]) => root)))].filter((root) => root >= 0);
  const root = roots[0] ?? 0, notes = [], command = commandOf(log, form, filters, selected, root);
  if (form === "jsonl") {
    const lines = selected.map((at) => lineOf(log, at)), kept = lines.filter((line) => line !== "");
    if (kept.length < lines.length) notes.push(`${plural(lines.length - kept.length, "line")} of version 0.1.0 cannot be written anew.`);
    notes.push("Without uuid, time_ns, tree, ids and extra, which the page does not have; times are to the microsecond.");
    return { text: kept.map((line) => `${line}\n`).join(""), notes, command };
  }
  try {
    if (roots.length > 1) throw new Refusal("The changes are of several containers: a patch is of one.");
    const made = (form === "patch" ? patchOf : undoOf)(log, world, root, selected);
    const withheld = made.filter(({ value }) => value !== undefined && jsonOf(value).includes('{"$redacted":true}')).length;
    if (withheld) notes.push(`${plural(withheld, "value")} withheld in the log ${withheld === 1 ? "is" : "are"} withheld here, too.`);
    const rows = made.map((operation) => `  ${jsonOf(operation)}`);
    return { text: rows.length ? `[\n${rows.join(",\n")}\n]\n` : "[]\n", notes, command };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { text: "", notes: [error.message, command ? "The command says what can be done about that." : "No command expresses this selection either."], command };
  }
}

export class Export {
  // selection(): [changes, filters].
  constructor(log, world, selection) {
    Object.assign(this, { log, world, selection });
    byId("export-form").addEventListener("input", () => this.draw());
    byId("export-save").addEventListener("click", () => this.save());
  }

  open() {
    this.draw();
    byId("export").showModal();
  }

  get form() { return document.querySelector("#export-form input:checked").value; }

  draw() {
    const [selected, filters] = this.selection();
    this.made = exported(this.log, this.world, this.form, selected, filters);
    const { text, notes, command } = this.made;
    byId("export-what").textContent = `${plural(selected.length, "change")}, as the filters select them.`;
    byId("export-notes").replaceChildren(...notes.map((note) => element("li", "", note)));
    byId("export-command").textContent = command ? preview(command, 2000).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\") : "";
    byId("export-same").hidden = !command;
    byId("export-text").textContent = text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)}…` : text;
    byId("export-save").disabled = text === "";
  }

  save() {
    const link = element("a"), name = this.log.name.replace(/\.[^]*$/, "").replace(/[^\w-]+/g, "-") || "changes";
    link.href = URL.createObjectURL(new Blob([this.made.text], { type: FORMS[this.form] }));
    link.download = `${name}.${{ jsonl: "jsonl", patch: "patch.json", undo: "undo.json" }[this.form]}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
