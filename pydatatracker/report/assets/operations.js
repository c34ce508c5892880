// JSON Patches (RFC 6902) made from changes: forward, or what undoes them. The rules are those of
// pydatatracker/history/patch.py, and tests compare the two. What these rules do not cover is refused, never guessed.

import { Dict, List, PSet, canonical, decode, identity, isContainer, isTextDict, pointerOf } from "./values.js";
import { empty, held, isMissing } from "./replay.js";

const MOST_MOVES = 32;

export class Refusal extends Error {}

// The operations of the changes of a root among those that are selected.
export function patchOf(log, world, root, selected) {
  const first = firstOf(log, root), mine = selected.filter((at) => at !== first && isData(log, world, root, at));
  if (!mine.length) return [];
  const [from, to] = [mine[0], mine[mine.length - 1]];
  let inside = 0;
  for (let at = from; at <= to; at++) if (isData(log, world, root, at)) inside++;
  if (inside !== mine.length) throw new Refusal("The selection leaves out changes in between, so it does not lead from one state to another.");
  const [before, after] = world.states(from, to + 1).map((roots) => valueOf(log, roots, root));
  return checked(made(log, world, root, mine.map((at) => ({ at, n: at + 1, inverse: false }))), before, after);
}

// The operations that undo the changes of a root among those that are selected, in its state at the end.
export function undoOf(log, world, root, selected) {
  const first = firstOf(log, root), mine = selected.filter((at) => at !== first && isData(log, world, root, at));
  if (!mine.length) return [];
  if (mine.some((at) => holds(log.body[at], "$redacted"))) throw new Refusal("A value that was withheld cannot be restored.");
  const chosen = new Set(mine), exact = new Set(), above = new Set();
  let built = 0, isTail = true;
  for (let at = log.size - 1; at >= mine[0]; at--) {
    if (!isData(log, world, root, at)) continue;
    const regions = [...regionsOf(log, root, at)];
    if (chosen.has(at)) {
      if (regions.some((region) => above.has(region.join("/")) || prefixes(region).some((each) => exact.has(each)))) built++;
      continue;
    }
    isTail = false;
    for (const region of regions) {
      exact.add(region.join("/"));
      for (const each of prefixes(region)) above.add(each);
    }
  }
  if (built) throw new Refusal(`${built === 1 ? "A later change" : "Later changes"} built upon ${built.toLocaleString()} of the selected changes.`);
  const [before, after] = world.states(mine[0], log.size).map((roots) => valueOf(log, roots, root));
  const items = mine.reverse().map((at) => ({ at, n: isTail ? at : at + 1, inverse: true }));
  return checked(made(log, world, root, items, isTail), after, isTail ? before : null);
}

// The data of a root; before its first change it is empty.
const valueOf = (log, roots, root) => roots[root]?.value ?? empty[log.kinds[root]](0);

function firstOf(log, root) {
  for (let at = 0; at < log.size; at++) if (log.action(at) === "init" && log.root[at] === root && !log.isRepeated(at)) return at;
  return -1;
}

function isData(log, world, root, at) {
  if (log.action(at) === "lock" || log.action(at) === "unlock" || log.root[at] < 0 || log.isRepeated(at)) return false;
  if (!log.views(at).some(([number]) => number === root)) return false;
  if (world.trouble(at)) throw new Refusal("A line of the log does not fit: what it did is not known.");
  if (log.action(at) === "init") throw new Refusal("The container begins anew in between.");
  if (log.body[at].c) throw new Refusal("A change was made in more places than the log names.");
  return true;
}

const pathsOf = (log, root, at) => log.views(at).filter(([number]) => number === root).flatMap(([, paths]) => paths);
const isNamed = (body) => "b" in body || "a" in body;
const prefixes = (steps) => steps.map((_, n) => steps.slice(0, n + 1).join("/"));

// What a change touched, as lists of steps: the values of keys, or a whole list whose items it moved.
function* regionsOf(log, root, at) {
  const body = log.body[at];
  for (const path of pathsOf(log, root, at)) {
    const steps = ["", ...path.map((key) => identity(key).replaceAll("/", "~1"))];
    if (body.r) for (const [key] of body.r) yield typeof key === "string" ? [...steps, identity(key).replaceAll("/", "~1")] : steps;
    else if (isNamed(body)) yield typeof path[path.length - 1] === "string" || ("b" in body && "a" in body) ? steps : steps.slice(0, -1);
    else yield steps;
  }
}

// ---- operations of several changes, each { at, n, inverse }: n changes lead to the state just after it was applied

function made(log, world, root, items, hasStates = true) {
  const here = world.n;
  try {
    for (const item of [...items].sort((x, y) => x.n - y.n)) prepare(log, world, root, item); // a step back costs more
    const blocks = covered(items);
    if (!hasStates && blocks.some((block) => block.whole)) throw new Refusal("A set, or a key that is not a text, changed.");
    for (const block of blocks.filter((each) => each.whole).sort((x, y) => x.n - y.n)) block.made = replaced(log, world, root, block);
    return blocks.flatMap((block) => (block.whole ? [block.made] : operationsOf(block)));
  } finally {
    world.seek(here);
  }
}

function prepare(log, world, root, item) {
  const body = log.body[item.at], named = isNamed(body);
  world.seek(item.n);
  item.exact = [];
  item.whole = [];
  for (const path of pathsOf(log, root, item.at)) {
    const base = named ? path.slice(0, -1) : path;
    let at = valueOf(log, world.roots, root), n = 0;
    while (n < base.length && nameable(at, base[n])) at = held(at, base[n++]);
    item.edits = n === base.length ? editsOf(body, at, path[path.length - 1], item.inverse) : null;
    item.isList = at instanceof List;
    (item.edits === null ? item.whole : item.exact).push(base.slice(0, n));
  }
}

const nameable = (container, key) => (container instanceof List ? typeof key === "number" : container instanceof Dict && !(container instanceof PSet) && typeof key === "string");

// What later items replace as a whole needs no operations of its own. Newest first.
function covered(items) {
  const blocks = [], open = new Map(); // pointer -> steps of a container that is replaced
  const close = (path) => {
    for (const [pointer, steps] of open) if (path.every((step, n) => steps[n] === step)) open.delete(pointer);
  };
  for (const item of [...items].reverse()) {
    const whole = new Set(item.whole.map(pointerOf));
    const isIn = (path, least) => path.concat(null).some((_, n) => n <= path.length - least && (open.has(pointerOf(path.slice(0, n))) || whole.has(pointerOf(path.slice(0, n)))));
    for (const path of item.whole) {
      if (open.has(pointerOf(path)) || isIn(path, 1)) continue;
      close(path);
      open.set(pointerOf(path), path);
      blocks.push({ whole: true, path, n: item.n });
    }
    const exact = item.exact.filter((path) => !isIn(path, 0));
    if (!exact.length || !item.edits?.length) continue;
    const shifts = item.isList && item.edits.some((edit) => edit.op !== "replace");
    for (const path of exact) for (const affected of shifts ? [path] : item.edits.map((edit) => [...path, edit.step])) close(affected);
    blocks.push({ whole: false, paths: exact, edits: item.edits });
  }
  return blocks.reverse();
}

function replaced(log, world, root, { path, n }) {
  world.seek(n);
  const value = path.reduce((container, key) => held(container, key), valueOf(log, world.roots, root));
  return { op: "replace", path: pointerOf(path), value: copyOf(value) };
}

function operationsOf({ paths, edits }) {
  return paths.flatMap((path) => edits.map(({ op, step, from, value }) => {
    const pointer = pointerOf([...path, step]);
    if (op === "move") return { op, from: pointerOf([...path, from]), path: pointer };
    return op === "remove" ? { op, path: pointer } : { op, path: pointer, value };
  }));
}

// ---- one change as operations below its container, oldest first; null if that is replaced as a whole

function editsOf(body, container, key, inverse) {
  if (container instanceof PSet) return null;
  const turn = (before, after) => (inverse ? [after, before] : [before, after]);
  if (body.s) {
    const [start, ...parts] = body.s, [removed, inserted] = turn(...parts);
    return [
      ...removed.map((_, n) => ({ op: "remove", step: start + removed.length - 1 - n })),
      ...inserted.map((value, n) => ({ op: "add", step: start + n, value })),
    ];
  }
  if (body.o) return movesOf(inverse ? body.o.map((_, old) => body.o.indexOf(old)) : body.o);
  const NONE = { $missing: true };
  if (!body.r) return nameable(container, key) ? slot(key, ...turn("b" in body ? body.b : NONE, "a" in body ? body.a : NONE)) : null;
  const rows = body.r.map(([step, before, after]) => [step, ...turn(before, after)]);
  if (inverse) rows.reverse();
  return container instanceof List ? listRows(rows) : dictRows(rows);
}

function slot(step, before, after) {
  if (isMissing(before)) return isMissing(after) ? [] : [{ op: "add", step, value: after }];
  if (isMissing(after)) return [{ op: "remove", step }];
  return isSameObject(before, after) ? [] : [{ op: "replace", step, value: after }];
}

// Whether Python has one object for two values that are equal.
function isSameObject(a, b) {
  if (a?.$redacted === true && b?.$redacted === true) return true;
  return a === b && (a === null || typeof a === "boolean" || (typeof a === "number" && a >= -5 && a <= 256 && Number.isInteger(a)));
}

function listRows(rows) {
  const removed = rows.filter((row) => isMissing(row[2])), others = rows.filter((row) => !isMissing(row[2]));
  removed.sort((x, y) => y[0] - x[0]); // from the end
  others.sort((x, y) => (isMissing(x[1]) && isMissing(y[1]) ? x[0] - y[0] : 0));
  return [...removed, ...others].flatMap((row) => slot(...row));
}

function dictRows(rows) {
  return rows.every(([key]) => typeof key === "string") ? rows.flatMap((row) => slot(...row)) : null;
}

// The fewest moves that make this order, new position -> old position; null if a replacement is shorter.
function movesOf(order) {
  const staying = longestRising(order);
  if (order.length - staying.size > Math.min(MOST_MOVES, Math.floor(order.length / 2))) return null;
  const now = order.map((_, n) => n), edits = [];
  order.forEach((old, position) => {
    if (staying.has(old)) return;
    const from = now.indexOf(old);
    now.splice(from, 1);
    const step = position ? now.indexOf(order[position - 1]) + 1 : 0;
    now.splice(step, 0, old);
    edits.push({ op: "move", step, from });
  });
  return edits;
}

function longestRising(order) {
  const tails = [], before = new Map(), found = new Set();
  for (const value of order) {
    let low = 0, high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tails[middle] < value) low = middle + 1; else high = middle;
    }
    if (low) before.set(value, tails[low - 1]);
    tails[low] = value;
  }
  for (let value = tails[tails.length - 1]; value !== undefined; value = before.get(value)) found.add(value);
  return found;
}

// ---- the check: applied to the one state the operations give the other

function checked(operations, before, after) {
  if (operations.some(({ value }) => value !== undefined && holds(value, "$dict"))) throw new Refusal("The data has keys that JSON lacks.");
  if (operations.some(({ value }) => value !== undefined && (holds(value, "$at") || holds(value, "$ref")))) throw new Refusal("A value refers to another part of the data.");
  const tree = { value: copyOf(before) };
  if (odd(before) || odd(after)) throw new Refusal("The data has keys that JSON lacks.");
  for (const operation of operations) apply(tree, operation);
  if (after !== null && canonical(tree.value) !== canonical(after)) throw new Refusal("The changes as operations do not give the same data.");
  return operations;
}

// Whether a value holds one with a tag; "$dict" is also a container with such keys.
function holds(value, tag) {
  if (value === null || typeof value !== "object") return false;
  if (value instanceof List) return value.items.some((each) => holds(each, tag));
  if (isContainer(value)) return (tag === "$dict" && odd(value)) || [...value.map.values()].some((each) => holds(each.value, tag));
  return (Object.hasOwn(value, tag) && !(tag === "$dict" && isTextDict(value))) || Object.values(value).some((each) => holds(each, tag));
}

function odd(value) {
  if (!isContainer(value) || value instanceof PSet) return false;
  if (value instanceof List) return value.items.some(odd);
  return [...value.map.values()].some(({ key, value }) => typeof key !== "string" || key[0] === "$" || odd(value));
}

export function copyOf(value) {
  if (!isContainer(value)) return value;
  if (value instanceof List) return new List(0, value.items.map(copyOf));
  return new value.constructor(0, new Map([...value.map].map(([id, entry]) => [id, { ...entry, value: copyOf(entry.value) }])));
}

function apply(tree, { op, path, from, value }) {
  const steps = path.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const fresh = isContainer(value) ? copyOf(value) : value === undefined ? undefined : decode(value, 0);
  if (!steps.length) return void (tree.value = fresh);
  const last = steps.pop();
  const at = steps.reduce((container, step) => held(container, container instanceof List ? Number(step) : step), tree.value);
  if (at instanceof List) {
    const source = op === "move" ? at.items.splice(Number(from.slice(from.lastIndexOf("/") + 1)), 1)[0] : fresh;
    if (op === "remove" || op === "replace") at.items.splice(Number(last), 1);
    if (op !== "remove") at.items.splice(Number(last), 0, source);
  } else if (!(at instanceof Dict)) throw new Refusal("The changes as operations do not fit the data.");
  else if (op === "remove") at.map.delete(identity(last));
  else at.put(last, fresh, -1);
}
