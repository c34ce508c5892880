// The state at any change: the nearest keyframe before it, and the changes since then applied. The rules are those of
// pydatatracker/history/replica.py, and tests compare the two.
//
// Making a keyframe costs nothing: it is the list of the roots as they are, and a new epoch begins. A container that is
// older than the epoch is copied when it is first changed. A keyframe is made after at least SPACING changes, and at
// least an eighth as many changes as items were copied. So all copying together is linear in the log, and a step back
// costs at most that many changes forward.

import { Dict, List, PSet, alike, decode, identity, isContainer, preview } from "./values.js";

const SPACING = 256;
const FITS = 0, MISFIT = 1, AGAIN = 2, NO_DATA = 3;
const GONE = Symbol("nothing");

class Misfit extends Error {}

export const empty = { dict: (epoch) => new Dict(epoch), list: (epoch) => new List(epoch, []), set: (epoch) => new PSet(epoch) };

export class World {
  constructor(log) {
    this.log = log;
    this.reset();
  }

  reset() {
    this.n = 0; // changes applied
    this.epoch = 1;
    this.roots = []; // { value, seq } of each root that has had a change, by its number
    this.rootsEpoch = 1;
    this.frames = [{ n: 0, roots: [] }];
    this.copied = 0; // items, since the last keyframe
    this.fits = []; // the result for each change that was applied before
    this.reasons = new Map(); // change -> why it does not fit
    this.lists = []; // whether the container of each change that was applied is a list
  }

  // Go to the state just after the first n changes. O(changes since the nearest keyframe).
  seek(n) {
    let low = 0, high = this.frames.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.frames[middle].n <= n) low = middle; else high = middle;
    }
    const frame = this.frames[low];
    if (this.n > n || this.n < frame.n) {
      this.n = frame.n;
      this.roots = frame.roots;
      this.rootsEpoch = -1;
      this.epoch++;
    }
    while (this.n < n) this.step();
  }

  // The roots after the first n changes, for each n given. Nothing changes them later.
  states(...counts) {
    const here = this.n, found = [];
    for (const n of counts) {
      this.seek(n);
      found.push(this.roots);
      this.rootsEpoch = -1; // what is changed from now on is copied first
      this.epoch++;
    }
    this.seek(here);
    return found;
  }

  step() {
    const at = this.n++;
    if (at < this.fits.length) {
      if (this.fits[at] === FITS) this.apply(at, false);
      return;
    }
    this.fits.push(this.first(at));
    const last = this.frames[this.frames.length - 1];
    const since = this.n - last.n;
    if (since >= SPACING && since * 8 >= this.copied) {
      this.frames.push({ n: this.n, roots: this.roots });
      this.copied = 0;
      this.rootsEpoch = -1;
      this.epoch++;
    }
  }

  first(at) {
    const action = this.log.action(at);
    if (action === "lock" || action === "unlock" || this.log.root[at] < 0) return NO_DATA;
    if (this.log.isRepeated(at) && this.roots[this.log.root[at]]) return NO_DATA;
    if (this.fresh(at).length === 0) return AGAIN;
    try {
      this.apply(at, true);
      return FITS;
    } catch (error) { // a Misfit, or a value that is nested too deep for the browser
      this.reasons.set(at, error instanceof Misfit ? error.message : String(error));
      return MISFIT;
    }
  }

  // Whether a change is of a list. Where the page has no data, the name of the class has to do.
  isOfList(at) {
    return this.lists[at] ?? Boolean(this.log.body[at].s || this.log.body[at].o || /list|deque/i.test(this.log.types[this.log.type[at]]));
  }

  // Why a change was not applied, or "".
  trouble(at) {
    if (this.fits[at] === AGAIN) return "This line is a duplicate, and was not applied again.";
    return this.fits[at] === MISFIT ? `Contradicts what the log says before it: ${this.reasons.get(at)}` : "";
  }

  // The roots that a change is about and that do not have it yet, each with its paths.
  fresh(at) {
    const seq = this.log.seq[at], isInit = this.log.action(at) === "init";
    return this.log.views(at).filter(([number]) => isInit || !this.roots[number] || seq > this.roots[number].seq);
  }

  apply(at, look) {
    const log = this.log, body = log.body[at];
    const action = log.action(at);
    const named = action !== "init" && ("b" in body || "a" in body);
    const views = this.fresh(at).map(([number, paths]) => ({
      number, paths, root: this.roots[number] ?? { value: empty[log.kinds[number]](this.epoch), seq: 0 },
    }));
    for (const view of views) { // what is below a withheld value is not known
      view.paths = view.paths.filter((path) => !isWithheld(view.root.value, path, path.length - (named ? 1 : 0)));
    }
    if (named && views.some(({ paths }) => paths.some((path) => path.length === 0))) throw new Misfit("it has no path");
    const depth = named ? 1 : 0;
    if (look) {
      for (const { root, paths } of views) for (const path of paths) {
        const target = walk(root.value, path, path.length - depth);
        this.lists[at] = target instanceof List;
        if (action === "init") checkFill(target, body.a); else check(target, path, named, body);
      }
    }
    if (this.rootsEpoch !== this.epoch) {
      this.roots = this.roots.slice();
      this.copied += this.roots.length;
      this.rootsEpoch = this.epoch;
    }
    for (const view of views) this.applyTo(view, at, action, named);
  }

  applyTo({ number, paths, root }, at, action, named) {
    const log = this.log, body = log.body[at], depth = named ? 1 : 0;
    const now = { value: this.own(root.value), seq: Math.max(root.seq, log.seq[at]) };
    const done = new Set();
    for (const path of paths) {
      const target = this.ownAt(now.value, path, path.length - depth);
      if (done.has(target)) continue; // the same container under another path
      done.add(target);
      if (action === "init") fill(target, decode(body.a, this.epoch), at);
      else change(target, path[path.length - 1], named, body, at, this.epoch);
    }
    this.roots[number] = now;
  }

  own(container) {
    if (container.epoch === this.epoch) return container;
    this.copied += container.size;
    return container.copy(this.epoch);
  }

  ownAt(container, path, length) {
    for (let n = 0; n < length; n++) {
      const child = held(container, path[n]), mine = this.own(child);
      if (mine !== child) {
        if (container instanceof List) container.items[path[n]] = mine;
        else {
          const id = identity(path[n]);
          container.map.set(id, { ...container.map.get(id), value: mine });
        }
      }
      container = mine;
    }
    return container;
  }
}

export function held(container, key) {
  if (container instanceof List) {
    return Number.isInteger(key) && key >= 0 && key < container.size ? container.items[key] : GONE;
  }
  if (!(container instanceof Dict)) return GONE;
  const entry = container.map.get(identity(key));
  return entry === undefined ? GONE : entry.value;
}

function isWithheld(container, path, length) {
  for (let n = 0; n < length && isContainer(container); n++) {
    container = container instanceof PSet ? GONE : held(container, path[n]);
  }
  // nor is what is below a reference: it changes where it is, and this page has it there
  return container !== GONE && !isContainer(container) && (container?.$redacted === true || container?.$at !== undefined || container?.$ref !== undefined);
}

function walk(container, path, length) {
  for (let n = 0; n < length; n++) {
    container = container instanceof PSet ? GONE : held(container, path[n]);
    if (!isContainer(container)) throw new Misfit(`there is no container at ${preview(path.slice(0, n + 1))}`);
  }
  return container;
}

function checkFill(target, state) {
  const kind = decode(state, 0);
  if (!isContainer(kind) || kind.constructor !== target.constructor) {
    throw new Misfit("it begins with another type of container");
  }
}

function check(target, path, named, body) {
  if (body.s) {
    const [start, removed] = body.s;
    if (!(target instanceof List) || !(start >= 0 && start <= target.size)) throw new Misfit(`there is no position ${start}`);
    removed.forEach((item, n) => expect(held(target, start + n), item, start + n));
  } else if (body.o) {
    const fits = target instanceof List && target.size === body.o.length && isOrder(body.o);
    if (!fits) throw new Misfit(`it orders ${body.o.length} items, but there are ${target.size}`);
  } else if (named) {
    const key = path[path.length - 1];
    if (target instanceof List && !("b" in body)) {
      if (!(Number.isInteger(key) && key >= 0 && key <= target.size)) throw new Misfit(`there is no position ${preview(key)}`);
      return;
    }
    const element = "b" in body ? body.b : body.a;
    expect(held(target, target instanceof PSet ? element : key), "b" in body ? body.b : GONE, key);
  } else {
    checkRows(target, body.r ?? []);
  }
}

function checkRows(target, rows) {
  const met = new Set();
  for (const [key, before, after] of rows) {
    const was = isMissing(before) ? GONE : before;
    if (target instanceof List) {
      if (was !== GONE) expect(held(target, key), was, key);
      continue;
    }
    const element = target instanceof PSet ? (was === GONE ? after : before) : key;
    const id = identity(element);
    if (!met.has(id)) expect(held(target, element), was, key);
    met.add(id);
  }
}

function expect(now, logged, key) {
  if ((now === GONE) !== (logged === GONE) || (now !== GONE && !alike(now, logged))) {
    const say = (value) => (value === GONE ? "nothing" : preview(value, 60));
    throw new Misfit(`at ${preview(key)} the log has ${say(logged)}, but there is ${say(now)}`);
  }
}

function isOrder(order) {
  const seen = new Uint8Array(order.length);
  for (const old of order) {
    if (!(old >= 0 && old < order.length) || seen[old]) return false;
    seen[old] = 1;
  }
  return true;
}

export const isMissing = (json) => json !== null && typeof json === "object" && json.$missing === true;

// ---- changing containers of this epoch

function fill(target, state, at) {
  if (target instanceof List) {
    target.items = state.items;
    target.by = new Array(state.size).fill(at);
    return;
  }
  target.map = state.map;
  for (const [id, entry] of target.map) target.map.set(id, { ...entry, by: at });
}

function change(target, key, named, body, at, epoch) {
  if (body.s) {
    const [start, removed, inserted] = body.s;
    const items = inserted.map((item) => decode(item, epoch));
    target.by = spliced(target.marks(), start, removed.length, items.map(() => at));
    target.items = spliced(target.items, start, removed.length, items);
  } else if (body.o) {
    const by = target.marks();
    target.by = body.o.map((old) => by[old]);
    target.items = body.o.map((old) => target.items[old]);
  } else if (named) {
    put(target, key, body, "b" in body, "a" in body, at, epoch);
  } else {
    const rows = body.r ?? [];
    // removed from a list: from the end, so that the indices stay right; a deque inserts afterwards
    const gone = target instanceof List ? rows.filter((row) => isMissing(row[2])) : [];
    for (const [where, b, a] of [...gone.reverse(), ...rows.slice(gone.length)]) {
      put(target, where, { b, a }, !isMissing(b), !isMissing(a), at, epoch);
    }
  }
}

function spliced(array, start, count, items) {
  if (items.length > 1000) return array.slice(0, start).concat(items, array.slice(start + count));
  array.splice(start, count, ...items);
  return array;
}

function put(target, key, { b, a }, was, is, at, epoch) {
  if (target instanceof PSet) {
    if (is) target.put(a, a, at); else target.map.delete(identity(b));
  } else if (target instanceof Dict) {
    if (is) target.put(key, decode(a, epoch), at); else target.map.delete(identity(key));
  } else {
    const count = was ? 1 : 0;
    target.marks().splice(key, count, ...(is ? [at] : []));
    target.items.splice(key, count, ...(is ? [decode(a, epoch)] : []));
  }
}
