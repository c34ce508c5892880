// The changes as columns, as data.py writes them, and the filters.

import { pointerOf } from "./values.js";

const COLUMNS = ["seq", "time", "actor", "does", "method", "type", "root", "place", "thread", "transaction", "context",
  "stack", "culprit", "ns", "shape", "item", "body"];
const TABLES = ["actors", "actions", "methods", "types", "threads", "transactions", "contexts", "stacks", "places",
  "shapes", "items", "roots", "kinds"];

export class Log {
  constructor() { this.clear(); }

  clear() {
    for (const name of [...COLUMNS, ...TABLES]) this[name] = [];
    this.unlisted = new Set(); // changes that are part of the data, but were not selected for the list
    this.texts = [];
    this.generation = 0;
    this.name = "";
  }

  get size() { return this.seq.length; }

  // Add what data.py wrote: everything, or what is new.
  append(part) {
    for (const name of COLUMNS) extend(this[name], part.columns[name]);
    for (const name of TABLES) extend(this[name], part.tables[name]);
    for (const at of part.unlisted) this.unlisted.add(at);
    this.generation = part.generation;
    this.name = part.name;
  }

  // The number of rows and entries that are known, for the request of what is new.
  sizes() { return [this.size, ...TABLES.map((name) => this[name].length)]; }

  action(at) { return this.actions[this.does[at]]; }
  who(at) { return this.actors[this.actor[at]] ?? ""; }
  path(at) { return this.places[this.place[at]][1]; }
  // The roots that a change is about, each with its paths there.
  views(at) {
    const body = this.body[at];
    return [[this.root[at], body.p ?? [this.path(at)]], ...(body.m ?? [])];
  }

  pid(at) { return this.roots[this.root[at]]?.[0] ?? null; }
  get isMixed() { return this.roots.some((root) => root[0] !== this.roots[0][0]); } // several processes wrote it

  isGap(at) { return this.action(at) === "gap"; }
  isRepeated(at) { return this.action(at) === "init" && this.methods[this.method[at]] === "again"; } // an init that changes nothing
  label(root) { return this.roots.length > 1 && root >= 0 ? `#${root + 1}` : ""; }

  // The path that changed.
  where(at) {
    const body = this.body[at];
    const pointer = this.places[this.place[at]][0];
    const further = (body.m ?? []).reduce((sum, [, paths]) => sum + paths.length, body.c ?? 0);
    return this.label(this.root[at]) + (pointer || body.w || (this.isGap(at) ? "" : "(root)")) + (further ? ` +${further}` : "");
  }

  // A change as text in lower case, for the text filter.
  text(at) {
    return this.texts[at] ??= [
      this.who(at), this.action(at), this.methods[this.method[at]], this.where(at), JSON.stringify(forReaders(this.body[at])),
      this.context[at] < 0 ? "" : JSON.stringify(this.contexts[this.context[at]]),
    ].join("\n").toLowerCase();
  }

  // The pointers of everything that a change touched.
  *pointers(at) {
    const body = this.body[at];
    const base = this.places[this.place[at]][0];
    yield base;
    const bases = [base];
    for (const path of [...(body.p ?? []).slice(1), ...(body.m ?? []).flatMap(([, paths]) => paths)]) {
      bases.push(pointerOf(path));
      yield bases[bases.length - 1];
    }
    const keys = (body.r ?? []).map((row) => row[0]);
    if (body.s) for (let n = 0; n < Math.max(body.s[1].length, body.s[2].length); n++) keys.push(body.s[0] + n);
    for (const each of bases) for (const key of keys) yield each + pointerOf([key]);
  }

  // The selected changes, in order. O(changes).
  select({ actor = "", action = "", glob = "", text = "", span = "" }) {
    const who = actor === "" ? -1 : this.actors.indexOf(actor.slice(1)), what = this.actions.indexOf(action);
    const fits = glob ? cached(compileGlob(glob)) : null;
    const words = text.toLowerCase(), [from, to, inSpan] = span ? compileSpan(span) : [];
    const found = [];
    for (let at = 0; at < this.size; at++) {
      if (actor !== "" && this.actor[at] !== who) continue;
      if (action !== "" && this.does[at] !== what) continue;
      if (inSpan && !((inSpan === "seq" ? this.seq[at] ?? NaN : at + 1) >= from && (inSpan === "seq" ? this.seq[at] : at + 1) <= to)) continue;
      if (this.unlisted.size && this.unlisted.has(at)) continue;
      if (fits && !this.isGap(at) && !this.touches(at, fits)) continue;
      if (words && !this.text(at).includes(words)) continue;
      found.push(at);
    }
    return found;
  }

  touches(at, fits) {
    const body = this.body[at];
    if (!body.r && !body.s && !body.p) return fits(this.places[this.place[at]][0]);
    for (const pointer of this.pointers(at)) if (fits(pointer)) return true;
    return false;
  }
}

// What the page shows of a change: without what is only for its line.
const forReaders = (body) => (body.x ? { ...body, x: undefined } : body);

function extend(column, more) {
  for (const each of more) column.push(each);
}

function cached(fits) {
  const known = new Map();
  return (pointer) => {
    let answer = known.get(pointer);
    if (answer === undefined) known.set(pointer, answer = fits(pointer));
    return answer;
  };
}

// A span of changes as for --seq: 10..20, 10.., ..20, 10. With # it is of positions: #10..#20.
export function compileSpan(text) {
  const found = /^ *(?:(#?)(\d{1,16}))? *(?:(\.\.) *(?:(#?)(\d{1,16}))?)? *$/.exec(text);
  if (!found || (!found[2] && !found[5])) throw new Error("A span is written as 10..20, 10.. or ..20");
  const [, first, from, range, second, to] = found, by = first || second ? "position" : "seq";
  return [Number(from ?? 0), range ? Number(to ?? Infinity) : Number(from), by];
}

// Globs over pointers as for --path: * and ? within a step, [abc], ** for any number of steps.
export function compileGlob(pattern) {
  if (pattern !== "" && pattern[0] !== "/") throw new Error("A path begins with / , as in /users/*/email");
  const unescaped = (part) => part.replaceAll("~1", "/").replaceAll("~0", "~");
  const segments = pattern.split("/").slice(1).map((part) => (part === "**" ? null : matcher(unescaped(part))));
  return (pointer) => {
    if (pointer !== "" && pointer[0] !== "/") return false;
    return matches(segments, 0, pointer.split("/").slice(1).map(unescaped), 0);
  };
}

function matcher(part) {
  if (!/[*?[]/.test(part)) return (step) => step === part;
  let source = "";
  for (let n = 0; n < part.length; n++) {
    const sign = part[n];
    let end = -1;
    if (sign === "[") end = part.indexOf("]", n + (part[n + 1] === "!" ? 3 : 2));
    if (sign === "*") source += ".*";
    else if (sign === "?") source += ".";
    else if (end > 0) {
      const set = part.slice(n + 1, end).replace(/[\\[\]^]/g, "\\$&");
      source += `[${set[0] === "!" ? `^${set.slice(1)}` : set}]`;
      n = end;
    } else source += sign.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  }
  let regex;
  try {
    regex = new RegExp(`^(?:${source})$`, "su");
  } catch { // a reversed range matches nothing
    return () => false;
  }
  return (step) => regex.test(step);
}

function matches(pattern, p, steps, k) {
  for (; p < pattern.length; p++, k++) {
    if (pattern[p] === null) {
      if (p + 1 === pattern.length) return true;
      for (let n = k; n <= steps.length; n++) if (matches(pattern, p + 1, steps, n)) return true;
      return false;
    }
    if (k === steps.length || !pattern[p](steps[k])) return false;
  }
  return k === steps.length;
}
