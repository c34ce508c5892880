// Values as a log spells them, and the containers that a replay changes.
//
// A list, dict or set is an object of a class below. Everything else stays the JSON of the log, as nothing changes
// inside a tuple or a date. Every container has the epoch in which it was made: one of an older epoch is shared with a
// keyframe, and is copied before it is changed (replay.js). Each item has the change that stored it, -1 if that is the
// change that stored its container.

const OPAQUE = new Set([
  "$tuple", "$frozenset", "$bytes", "$datetime", "$date", "$time", "$timedelta", "$decimal", "$uuid", "$path",
  "$complex", "$float", "$str", "$int", "$missing", "$redacted", "$repr", "$cut", "$ref", "$at",
]);
const PARTIAL = new Set(["$cut", "$ref", "$at", "$repr", "$redacted"]);

export class List {
  constructor(epoch, items, by = null) {
    this.epoch = epoch;
    this.items = items;
    this.by = by; // null: -1 for every item
  }
  get size() { return this.items.length; }
  copy(epoch) { return new List(epoch, this.items.slice(), this.by && this.by.slice()); }
  marks() { return this.by ??= new Array(this.items.length).fill(-1); }
}

// A dict or a set: a map from the identity of a key to { key, value, by }, an object that is never changed.
export class Dict {
  constructor(epoch, map = new Map()) {
    this.epoch = epoch;
    this.map = map;
  }
  get size() { return this.map.size; }
  copy(epoch) { return new this.constructor(epoch, new Map(this.map)); }
  put(key, value, by) {
    const id = identity(key);
    const known = this.map.get(id); // a key that exists is kept, as in Python
    this.map.set(id, { key: known ? known.key : key, value, by });
  }
}

export class PSet extends Dict {}

export const isContainer = (value) => value instanceof List || value instanceof Dict;

export function tagOf(json) {
  // the tag of an object that represents another type, or ""
  if (json === null || typeof json !== "object" || Array.isArray(json)) return "";
  const keys = Object.keys(json);
  return keys.length > 3 ? "" : keys.find((key) => key[0] === "$") ?? "";
}

// Whether {"$dict": [...]} is a dict with text keys alone: the page gets one with digits as keys so, as it would sort them.
export function isTextDict(json) {
  return Array.isArray(json.$dict) && Object.keys(json).length === 1 && json.$dict.every((pair) => Array.isArray(pair) && typeof pair[0] === "string" && pair[0][0] !== "$");
}

export function decode(json, epoch) {
  if (json === null || typeof json !== "object") return json;
  if (Array.isArray(json)) {
    const items = new Array(json.length);
    for (let n = 0; n < json.length; n++) items[n] = decode(json[n], epoch);
    return new List(epoch, items);
  }
  const tag = tagOf(json);
  if (OPAQUE.has(tag)) return json;
  const inner = json[tag];
  if (tag === "$set" && Array.isArray(inner)) {
    const set = new PSet(epoch);
    for (const element of inner) set.put(element, element, -1);
    return set;
  }
  const dict = new Dict(epoch);
  if (tag === "$dict" && Array.isArray(inner) && inner.every((pair) => Array.isArray(pair) && pair.length === 2)) {
    for (const [key, value] of inner) dict.put(key, decode(value, epoch), -1);
  } else {
    for (const key of Object.keys(json)) dict.put(key, decode(json[key], epoch), -1);
  }
  return dict;
}

// A text that is the same for two keys if Python treats them as equal: 1, 1.0 and True are one key, "1" is another.
export function identity(key) {
  return typeof key === "string" ? `'${key}` : canonical(key);
}

export function canonical(json) {
  switch (typeof json) {
    case "string": return JSON.stringify(json);
    case "number": return String(json);
    case "boolean": return json ? "1" : "0";
  }
  if (json === null) return "null";
  if (json instanceof List) return canonical(json.items);
  if (json instanceof PSet) return `{"$set":[${[...json.map.keys()].sort().join()}]}`;
  if (json instanceof Dict) {
    return `{${[...json.map].map(([id, entry]) => `${id}:${canonical(entry.value)}`).sort().join()}}`;
  }
  if (Array.isArray(json)) return `[${json.map(canonical).join()}]`;
  const tag = tagOf(json);
  if (tag === "$float" && Number.isFinite(Number(json.$float))) return String(Number(json.$float));
  if (tag === "$frozenset" && Array.isArray(json.$frozenset)) {
    return `{"$frozenset":[${json.$frozenset.map(canonical).sort().join()}]}`;
  }
  return `{${Object.keys(json).sort().map((key) => `${JSON.stringify(key)}:${canonical(json[key])}`).join()}}`;
}

// A key as text, as Python writes it.
export function keyText(key) {
  if (typeof key === "string") return key;
  if (key === null) return "None";
  if (typeof key === "boolean") return key ? "True" : "False";
  if (typeof key === "number") return String(key);
  return typeof key.$float === "string" ? key.$float : JSON.stringify(key);
}

export function pointerOf(path) {
  return path.map((key) => `/${keyText(key).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

// Whether a value is the one in the log. A value that the log does not have in full is assumed to be.
export function alike(held, logged) {
  if (held === logged) return true;
  if (typeof held === "string" || typeof logged === "string") {
    return PARTIAL.has(tagOf(held)) || PARTIAL.has(tagOf(logged));
  }
  return canonical(held) === canonical(decode(logged, 0)) || holdsPartial(held) || hasPartial(logged);
}

function holdsPartial(value) {
  if (value instanceof List) return value.items.some(holdsPartial);
  return isContainer(value) ? [...value.map.values()].some((entry) => holdsPartial(entry.value)) : hasPartial(value);
}

function hasPartial(json) {
  if (json === null || typeof json !== "object") return false;
  return PARTIAL.has(tagOf(json)) || Object.values(json).some(hasPartial);
}

// ---- values as text, as Python writes them

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

// Text with invisible characters, and those that reverse the direction of text, escaped.
export function clean(text) {
  return String(text).replace(HIDDEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function preview(value, room = 80) {
  const out = { left: room, parts: [] };
  say(value, out, 0);
  return clean(out.left < 0 ? `${out.parts.join("").slice(0, room)}…` : out.parts.join(""));
}

function add(out, text) {
  out.parts.push(text);
  out.left -= text.length;
}

function say(value, out, depth) {
  if (out.left < 0) return;
  if (value === null) return add(out, "None");
  if (typeof value === "boolean") return add(out, value ? "True" : "False");
  if (typeof value === "string") return add(out, JSON.stringify(value.slice(0, out.left + 8)));
  if (typeof value !== "object") return add(out, String(value));
  if (depth > 20) return add(out, "…");
  if (value instanceof List) return sayItems(value.items, "[", "]", out, depth);
  if (value instanceof Dict) return sayEntries(value.map.values(), value instanceof PSet, out, depth);
  if (Array.isArray(value)) return sayItems(value, "[", "]", out, depth);
  return sayTagged(value, tagOf(value), out, depth);
}

function sayItems(items, open, close, out, depth) {
  add(out, open);
  for (let n = 0; n < items.length && out.left >= 0; n++) {
    if (n) add(out, ", ");
    say(items[n], out, depth + 1);
  }
  add(out, close);
}

function sayEntries(entries, isSet, out, depth) {
  let n = 0;
  for (const { key, value } of entries) {
    if (out.left < 0) return;
    add(out, n++ ? ", " : "{");
    say(key, out, depth + 1);
    if (isSet) continue;
    add(out, ": ");
    say(value, out, depth + 1);
  }
  add(out, n ? "}" : isSet ? "set()" : "{}");
}

function sayTagged(json, tag, out, depth) {
  const inner = json[tag];
  if (tag === "$tuple" && Array.isArray(inner)) return sayItems(inner, "(", inner.length === 1 ? ",)" : ")", out, depth);
  if (tag === "$set" && Array.isArray(inner)) return sayItems(inner, "{", "}", out, depth);
  if (tag === "$frozenset" && Array.isArray(inner)) return sayItems(inner, "frozenset({", "})", out, depth);
  if (tag === "$dict" && Array.isArray(inner) && inner.every(Array.isArray)) {
    return sayEntries(inner.map(([key, value]) => ({ key, value })), false, out, depth);
  }
  if (tag === "$redacted") return add(out, "<redacted>");
  if (tag === "$ref") return add(out, `<itself${inner ? `: ${inner}` : ""}>`);
  if (tag === "$at" && inner === null) return say(json.else, out, depth + 1);
  if (tag === "$at" && Array.isArray(inner)) return add(out, `<what is at ${inner.map((key) => `/${key}`).join("") || "the root"}>`);
  if (tag === "$missing") return add(out, "<nothing>");
  if (tag === "$cut") {
    say(json.start, out, depth + 1);
    return add(out, `… <${json.type} of ${inner}>`);
  }
  if (tag === "$int") {
    try {
      const minus = inner[0] === "-";
      return add(out, (minus ? "-" : "") + BigInt(minus ? inner.slice(1) : inner));
    } catch { /* not written by this version: shown as it is */ }
  }
  if (typeof inner === "string" && ["$repr", "$float", "$str", "$complex"].includes(tag)) return add(out, inner);
  if (typeof inner === "string" && OPAQUE.has(tag)) return add(out, `${tag.slice(1)}(${JSON.stringify(inner)})`);
  return sayEntries(Object.entries(json).map(([key, value]) => ({ key, value })), false, out, depth);
}
