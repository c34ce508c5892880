// A change as the line of the log that it was. The rules are those of pydatatracker/report/fields.py, which gives what
// they do not: body.x of a change, and its shape, the keys of the line in their order.

import { List, PSet, isContainer, isTextDict } from "./values.js";
import { isMissing } from "./replay.js";
import { exactTime } from "./dom.js";

const LONGEST = 600; // digits of an integer that a log has as it is
const BODY = { before: "b", after: "a", splice: "s", order: "o", changes: "r", paths: "p" };

// A value as JSON text that Python reads as the log has it.
export function jsonOf(value) {
  if (typeof value === "number") return floatText(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(jsonOf).join(",")}]`;
  if (value instanceof List) return jsonOf(value.items);
  if (isContainer(value)) return containerOf(value, [...value.map.values()]);
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.$float === "string" && Number.isFinite(Number(value.$float))) return value.$float;
  if (keys.length === 1 && /^-?0x[0-9a-f]+$/.test(value.$int)) {
    const digits = decimal(value.$int);
    if (digits.length <= LONGEST) return digits;
  }
  return objectOf(pairsOf(value));
}

const pairsOf = (json) => (isTextDict(json) ? json.$dict : Object.entries(json));
const objectOf = (pairs) => `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${jsonOf(value)}`).join(",")}}`;
const decimal = (hex) => (hex[0] === "-" ? "-" : "") + BigInt(hex.replace("-", ""));

function containerOf(value, entries) {
  if (value instanceof PSet) return `{"$set":[${entries.map(({ key }) => jsonOf(key)).join(",")}]}`;
  const pairs = entries.map(({ key, value: item }) => [key, item]);
  if (pairs.every(([key]) => typeof key === "string" && key[0] !== "$")) return objectOf(pairs);
  return `{"$dict":[${pairs.map(([key, item]) => `[${jsonOf(key)},${jsonOf(item)}]`).join(",")}]}`;
}

// A number as Python writes it.
function floatText(number) {
  if (Number.isInteger(number) || Math.abs(number) >= 1e-4) return String(number);
  return number.toExponential().replace(/e-(\d)$/, "e-0$1");
}

// JSON text as json.dumps(..., indent=2) writes it: in ASCII, an item per line.
export function indented(text) {
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return text.replace(/"(?:[^"\\]|\\.)*"|\[\]|\{\}|[[{\]},:]/g, (token) => {
    if (token === "[" || token === "{") return depth++, token + line();
    if (token === "]" || token === "}") return depth--, line() + token;
    if (token === ",") return token + line();
    return token === ":" ? ": " : token.replace(/[^ -~]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
  });
}

// A change as its line, without the newline.
export function lineOf(log, at) {
  const [keys, words, separators] = log.shapes[log.shape[at]], body = log.body[at], rest = body.x ?? {};
  const part = (key) => {
    if (key === "ids") return Array.isArray(rest.ids) ? jsonOf(rest.ids[0]) : objectOf(pairsOf(rest.ids).map(([where, id]) => [where, idOf(log, at, id)]));
    if (key === "extra" && words.length) return objectOf(words.map((word) => [word, Object.hasOwn(rest.extra ?? {}, word) ? rest.extra[word] : wordOf(log, at, word, separators)]));
    if (Object.hasOwn(rest, key)) return jsonOf(rest[key]);
    return key === "time_ns" ? nanoseconds(log, at) : jsonOf(fieldOf(log, at, key, keys));
  };
  return `{${keys.map((key) => `${JSON.stringify(key)}:${part(key)}`).join(",")}}`;
}

const nanoseconds = (log, at) => `${log.time[at]}${String(log.ns[at]).padStart(3, "0")}`.replace(/^0+(?=\d)/, "");

function fieldOf(log, at, key, keys) {
  const body = log.body[at], [pid, root, name, begin] = log.roots[log.root[at]] ?? [null, "", "", ""];
  if (Object.hasOwn(BODY, key)) return body[BODY[key]];
  const fields = {
    v: () => (keys.includes("also") ? 2 : 1), seq: () => log.seq[at], action: () => log.action(at), method: () => log.methods[log.method[at]],
    type: () => log.types[log.type[at]], pointer: () => log.places[log.place[at]][0], path: () => log.path(at),
    actor: () => log.who(at), transaction: () => log.transactions[log.transaction[at]] ?? null, thread: () => log.threads[log.thread[at]],
    context: () => log.contexts[log.context[at]] ?? {}, stack: () => log.stacks[log.stack[at]] ?? [],
    culprit: () => (log.culprit[at] < 0 ? null : log.culprit[at]), pid: () => pid, root: () => root, name: () => name,
    also: () => body.m.flatMap(([number, paths]) => paths.map((path) => [log.roots[number][1], path])), also_cut: () => body.c,
    from: () => body.g[0], to: () => body.g[1], reason: () => body.g[2],
    uuid: () => begin + (log.action(at) === "init" ? `c${root.slice(17)}` : log.seq[at].toString(16).padStart(16, "0")),
    created_time: () => exactTime(log.time[at]).replace("Z", "+00:00"), location: () => log.path(at)[log.path(at).length - 1],
    tracked_item_uuid: () => idOf(log, at, log.items[log.item[at]][2]), tree: () => treeOf(log, at),
  };
  return fields[key]();
}

// An id: a number if it begins as that of the root, in a list if it is none.
const idOf = (log, at, id) => (Array.isArray(id) ? id[0] : typeof id === "number" ? `${log.roots[log.root[at]][1].slice(0, 16)}8${id.toString(16).padStart(15, "0")}` : id);

function treeOf(log, at) {
  const nodes = [], path = log.path(at);
  for (let item = log.items[log.item[at]]; item; item = log.items[item[0]]) nodes.unshift({ type: log.types[item[1]], uuid: idOf(log, at, item[2]) });
  return nodes.map((node, n) => ({ ...node, location: n ? path[n - 1] : null }));
}

// ---- the change as text, as `extra` has it

function wordOf(log, at, word, separators) {
  const body = log.body[at], path = log.path(at), last = path[path.length - 1];
  const before = "b" in body ? body.b : undefined, after = "a" in body ? body.a : undefined;
  const action = log.action(at), method = log.methods[log.method[at]];
  switch (word) {
    case "action": return action;
    case "method": return method;
    case "type": return log.types[log.type[at]];
    case "locked": case "attribute_locked": return action === "lock" ? "True" : "False";
    case "location": return path.length === 1 && typeof last === "number" ? last : path.map((key, n) => plainText(key) + (separators[n] ?? "")).join("");
    case "passed_index": case "attribute_name": return plainText(last);
    case "init_data": case "default": return plainText(after);
    case "return_value": return plainText(method === "setdefault" ? after : before);
    case "data_pre_change": return before === undefined ? "" : plainText(before);
    case "data_post_change": return after === undefined ? "" : plainText(after);
    case "removed_items":
      if (body.s) return reprOf(body.s[1]);
      return reprOf(body.r ? body.r.filter((row) => !isMissing(row[1])).map((row) => row[1]) : [before]);
  }
  if (body.s) return reprOf(body.s[2].length ? body.s[2] : body.s[1]);
  if (!body.r) return plainText(action === "remove" ? before : after);
  const set = body.r.filter((row) => !isMissing(row[2]));
  return reprOf({ $dict: set.length ? set.map(([key, , value]) => [key, value]) : body.r.filter((row) => !isMissing(row[1])) });
}

const plainText = (value) => (typeof value === "string" ? value : reprOf(value));

function reprOf(value) {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return floatText(value);
  if (typeof value === "string") return value.includes("'") ? `"${value}"` : `'${value}'`;
  if (Array.isArray(value)) return `[${value.map(reprOf).join(", ")}]`;
  if (typeof value.$float === "string") return value.$float;
  if (typeof value.$repr === "string") return value.$repr;
  if (Array.isArray(value.$tuple)) return `(${value.$tuple.map(reprOf).join(", ")}${value.$tuple.length === 1 ? "," : ""})`;
  if (Array.isArray(value.$set)) return value.$set.length ? `{${value.$set.map(reprOf).join(", ")}}` : "set()";
  const pairs = value.$dict ?? Object.entries(value);
  return `{${pairs.map(([key, item]) => `${reprOf(key)}: ${reprOf(item)}`).join(", ")}}`;
}
