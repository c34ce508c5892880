// A place followed through the changes: an item of a list through insertions, removals and sorts, a key through the
// containers that were at its path. The rules are those of pydatatracker/history/blame.py, and tests compare the two.
//
// A spot is { root, keys, steps, loose }: its path just after some change, and the path that was asked for. Where another
// container comes to be above it, the path below that one, from the level `loose` on, is as it was asked for. There a
// text names an index, too, and an index a text.

import { identity, keyText } from "./values.js";
import { isMissing } from "./replay.js";

const NOWHERE = -1;

// The spots that a change wrote, to be followed forward (by 1) or back (by -1). An item of a list that it removed was there before.
export function spotsOf(log, world, at, by) {
  const body = log.body[at], named = isAtKey(log, at), isList = world.isOfList(at), found = [];
  if (named && isList && !((by > 0 ? "a" : "b") in body)) return found; // there is no such item after it, or before
  for (const [root, paths] of log.views(at)) for (const path of paths) {
    const below = body.r && !isList ? body.r.map(([key]) => [...path, key]) : [path];
    for (const keys of below) found.push({ root, keys, steps: keys, loose: Infinity, isBefore: named && isList && !("a" in body) });
  }
  return found;
}

// The changes that stored something at a path or removed it, newest first, from change `at` back, as `history` has them.
export function* historyOf(log, world, root, keys, at) {
  for (let spot = { root, keys, steps: keys, loose: Infinity }; spot && at >= 0; at--) {
    const found = moved(log, world, spot, at, -1);
    if (found.isTouched) yield at;
    spot = found.spot;
  }
}

// The nearest change after `at` (by 1), or before it (by -1), that fits and is at one of the spots, above or below it:
// { at, spots }, with the spots as they are just after it; null if there is none.
export function followed(log, world, spots, at, by, fits) {
  for (let n = by > 0 ? at + 1 : at; n >= 0 && n < log.size; n += by) {
    const found = spots.map((spot) => (n === at && spot.isBefore ? { spot: { ...spot, isBefore: false } } : moved(log, world, spot, n, by)));
    const isHere = n !== at && fits(n) && found.some(({ isTouched, isInside }) => isTouched || isInside);
    if (isHere && by < 0) return { at: n, spots };
    spots = found.map(({ spot }) => spot).filter((spot) => spot !== null);
    if (isHere) return { at: n, spots };
    if (!spots.length) return null;
  }
  return null;
}

const isAtKey = (log, at) => log.action(at) !== "init" && ("b" in log.body[at] || "a" in log.body[at]);
const isKey = (one, other) => one === other || identity(one) === identity(other);
const names = (spot, level, key) => isKey(spot.keys[level], key) || (level >= spot.loose && keyText(spot.keys[level]) === keyText(key));
const isBelow = (spot, base) => base.length <= spot.keys.length && base.every((key, n) => names(spot, n, key));
const isAbove = (spot, base) => spot.keys.length <= base.length && spot.keys.every((_, n) => names(spot, n, base[n]));

// A spot before (by -1) or after (by 1) a change: { spot, isTouched, isInside }. The spot is null if there was none.
function moved(log, world, spot, at, by) {
  const unmoved = { spot, isTouched: false, isInside: false };
  if (log.isGap(at) || world.trouble(at)) return unmoved;
  const body = log.body[at], action = log.action(at), named = isAtKey(log, at);
  for (const [root, paths] of log.views(at)) for (const path of root === spot.root ? paths : []) {
    const base = named ? path.slice(0, -1) : path;
    if (action === "lock" || action === "unlock") {
      if (isBelow(spot, path) || isAbove(spot, path)) return { ...unmoved, isInside: true };
    } else if (isAbove(spot, base)) return { ...unmoved, isInside: !log.isRepeated(at), isTouched: !spot.keys.length && !log.isRepeated(at) };
    else if (isBelow(spot, base)) {
      const level = base.length, key = spot.keys[level];
      const written = (at) => ({ ...spot, keys: [...spot.keys.slice(0, level), at, ...spot.steps.slice(level + 1)], loose: level + 1 });
      if (action === "init") {
        if (log.isRepeated(at) || !keysOfState(body.a).some((each) => names(spot, level, each))) return unmoved;
        return { ...unmoved, isTouched: true, spot: Array.isArray(body.a) ? null : written(key) };
      }
      if (!world.isOfList(at)) {
        const keys = named ? [path[level]] : (body.r ?? []).map((row) => row[0]);
        const found = keys.find((each) => names(spot, level, each));
        if (found !== undefined) return { ...unmoved, isTouched: true, spot: written(found) };
        continue;
      }
      const was = typeof key === "string" && level >= spot.loose && /^\d{1,15}$/.test(key) ? Number(key) : key;
      if (typeof was !== "number") continue;
      const [index, isTouched] = shifted(body, named ? path[level] : null, was, by);
      if (index === NOWHERE) return { ...unmoved, isTouched: true, spot: null };
      if (isTouched) return { ...unmoved, isTouched, spot: written(index) };
      return { ...unmoved, spot: index === key ? spot : { ...spot, keys: [...spot.keys.slice(0, level), index, ...spot.keys.slice(level + 1)] } };
    }
  }
  return unmoved;
}


const keysOfState = (state) => (Array.isArray(state) ? [...state.keys()] : state?.$set ?? state?.$dict?.map(([each]) => each) ?? Object.keys(state ?? {}));

// The index of an item of a list before or after a change, NOWHERE if there was none, and whether the change wrote it.
function shifted(body, slot, index, by) {
  if (body.o) return [by < 0 ? body.o[index] ?? index : Math.max(0, body.o.indexOf(index)), false];
  if (slot !== null) return moveOver(slot, Number("b" in body), Number("a" in body), index, by);
  if (body.s) return moveOver(body.s[0], body.s[1].length, body.s[2].length, index, by);
  const rows = body.r ?? [], gone = rows.filter((row) => isMissing(row[2])), rest = rows.slice(gone.length);
  // removed are those with the indices before, from the end; then the others one after another
  const edits = [...gone.reverse(), ...rest].map(([at, before, after]) => [at, Number(!isMissing(before)), Number(!isMissing(after))]);
  let isTouched = false;
  for (const edit of by < 0 ? edits.reverse() : edits) {
    const [next, isWritten] = moveOver(...edit, index, by);
    if (next === NOWHERE) return [NOWHERE, true];
    [index, isTouched] = [next, isTouched || isWritten];
  }
  return [index, isTouched];
}

// `was` items at a position became `is` items.
function moveOver(start, was, is, index, by) {
  const [old, now] = by < 0 ? [is, was] : [was, is], offset = index - start;
  if (offset < 0) return [index, false];
  if (offset >= old) return [index + now - old, false];
  return [offset < now ? index : NOWHERE, true];
}
