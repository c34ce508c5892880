// The data at a change as a tree. Open containers are flattened to rows, and the windowed list shows those in sight.
// A container of more than BUCKET items shows them in groups, so an open one with a million has ten thousand rows.

import { Dict, List, PSet, clean, identity, isContainer, preview } from "./values.js";
import { isMissing } from "./replay.js";
import { actionClass, actorName, element, setText } from "./dom.js";
import { Windowed } from "./windowed.js";

const TREE_ROW = 22;
const BUCKET = 100;
const GHOSTS = 50; // how many removed items of a change are shown

export class Tree {
  // jump(at): the user clicked the writer of a value. moved(): the user chose a row.
  constructor(box, log, world, jump, moved) {
    Object.assign(this, { box, log, world, jump, moved, rows: [], current: "", at: -1, follow: true });
    this.open = new Set(); // opened by the user
    this.opened = new Set(); // opened to show the current change
    this.changed = new Map();
    this.window = new Windowed(box, TREE_ROW, makePlace, (row, index) => this.show(row, index));
    box.addEventListener("click", (event) => this.click(event));
    box.addEventListener("keydown", (event) => this.key(event));
  }

  // Show the state of the world, just after change at (-1: before the first).
  update(at) {
    this.at = at;
    this.changed = at < 0 ? new Map() : marksOf(this.log, at, this.world);
    this.opened.clear();
    if (at >= 0 && this.follow) for (const path of this.changed.paths.slice(0, 3)) this.openTo(path);
    this.flatten();
    this.window.resize(this.rows.length);
    if (at >= 0 && this.follow) {
      const first = this.rows.findIndex((row) => row.mark);
      if (first >= 0) {
        this.window.reveal(first, 0.4); // with what is around it
        this.current = this.rows[first].id;
      }
    }
    this.draw();
  }

  draw() {
    this.window.resize(this.rows.length);
    this.window.draw();
    const index = this.rows.findIndex((row) => row.id === this.current);
    const shown = this.window.rows.find((row) => !row.hidden && row.index === index);
    if (shown) this.box.setAttribute("aria-activedescendant", shown.id); else this.box.removeAttribute("aria-activedescendant");
  }

  openTo({ root, keys }) {
    let value = this.world.roots[root]?.value, id = rootId(root);
    for (const key of keys) {
      if (!isContainer(value)) return;
      this.opened.add(id);
      if (value.size > BUCKET) {
        const n = value instanceof List ? key : [...value.map.keys()].indexOf(identity(key));
        if (n >= 0) this.opened.add(bucketId(id, Math.floor(n / BUCKET)));
      }
      id = childId(id, key);
      value = value instanceof List ? value.items[key] : value.map.get(identity(key))?.value;
    }
    if (isContainer(value)) this.opened.add(id);
  }

  // Open the data at a path and choose its row. Returns the keys.
  visit(root, keys) {
    if (!this.world.roots[root]) return keys;
    const opened = this.opened;
    this.opened = this.open; // what is opened here stays open
    this.openTo({ root, keys });
    this.opened = opened;
    this.current = keys.reduce(childId, rootId(root));
    this.flatten();
    this.window.resize(this.rows.length);
    this.window.reveal(Math.max(0, this.rows.findIndex((row) => row.id === this.current)), 0.4);
    this.draw();
    return keys;
  }

  // The root and keys of the chosen row. A removed item has those of its container.
  chosen() {
    let row = this.rows.find((each) => each.id === this.current);
    const keys = [];
    for (; row; row = row.up) {
      if (row.key !== undefined) keys.unshift(row.key);
      if (row.root !== undefined) return { root: row.root, keys };
    }
    return { root: -1, keys };
  }

  isOpen(id) { return this.open.has(id) || this.opened.has(id); }

  flatten() {
    const rows = this.rows = [];
    const several = this.log.roots.length > 1;
    for (const gone of this.changed.values()) if (Array.isArray(gone)) for (const each of gone) each.shown = false;
    this.world.roots.forEach((root, number) => {
      if (!root) return;
      const id = rootId(number);
      if (!several && !this.seenRoot) {
        this.seenRoot = true;
        this.open.add(id);
      }
      const name = several ? `#${number + 1}` : "the data";
      this.place(rows, { id, name, value: root.value, by: -1, level: 0, mark: this.changed.get(id), root: number });
    });
  }

  // Add a row and those below it. up is the row above it in the tree.
  place(rows, row) {
    const { id, value, by, level } = row, inside = isContainer(value) ? value : null;
    row.opens = inside !== null && inside.size > 0;
    row.open = this.isOpen(id);
    rows.push(row);
    if (inside === null || !row.open) return;
    const ghosts = this.changed.get(`${id} gone`) ?? [];
    if (inside.size <= BUCKET) this.items(rows, row, inside, level + 1, 0, inside.size, ghosts);
    else {
      for (let start = 0; start < inside.size; start += BUCKET) {
        const stop = Math.min(start + BUCKET, inside.size), group = bucketId(id, start / BUCKET);
        rows.push({ id: group, name: `${start} … ${stop - 1}`, by: -1, level: level + 1, opens: true, open: this.isOpen(group), group: true, up: row });
        if (this.isOpen(group)) this.items(rows, row, inside, level + 2, start, stop, ghosts);
      }
    }
    for (const ghost of ghosts) if (!ghost.shown) this.ghost(rows, row, ghost, level + 1);
  }

  items(rows, up, inside, level, start, stop, ghosts) {
    const { id, by } = up;
    let n = 0;
    const list = inside instanceof List;
    for (const entry of list ? inside.items.slice(start, stop) : inside.map.values()) {
      const index = list ? start + n : n;
      n++;
      if (!list && index < start) continue;
      if (index >= stop) break;
      if (list) for (const ghost of ghosts) if (ghost.key === index && !ghost.shown) this.ghost(rows, up, ghost, level);
      const key = list ? index : entry.key, child = childId(id, key);
      const own = list ? (inside.by ? inside.by[index] : -1) : entry.by;
      const name = typeof key === "string" ? clean(key) : preview(key, 60);
      const shown = inside instanceof PSet ? "∈" : name === "" ? '""' : name;
      this.place(rows, {
        id: child, name: shown, value: list ? entry : entry.value, by: own >= 0 ? own : by, level, mark: this.changed.get(child), inherited: own < 0, key, up,
      });
    }
  }

  ghost(rows, up, ghost, level) {
    ghost.shown = true;
    const name = typeof ghost.key === "string" ? clean(ghost.key) : preview(ghost.key, 60);
    rows.push({ id: `${childId(up.id, ghost.key)} ghost`, name, value: ghost.value, by: this.at, level, mark: "remove", opens: false, up });
  }

  show(row, index) {
    const { name, value, by, level, mark, opens, open, group, id, inherited } = this.rows[index];
    const [twist, key, text, writer] = row.children;
    row.className = `row${mark ? ` changed ${actionClass(mark)}` : ""}${id === this.current ? " current" : ""}${group ? " group" : ""}`;
    row.style.paddingLeft = `${Math.min(level, 24) * 14 + 4}px`;
    row.setAttribute("aria-level", level + 1);
    row.setAttribute("aria-selected", String(id === this.current));
    if (opens) row.setAttribute("aria-expanded", String(open)); else row.removeAttribute("aria-expanded");
    setText(twist, opens ? (open ? "▾" : "▸") : "");
    setText(key.firstChild, name);
    setText(text, group ? "" : isContainer(value) && (open || value.size > 20) ? `${open ? "" : `${preview(value, 60)} `}${kindOf(value)}` : preview(value, 200));
    writer.hidden = by < 0;
    if (by < 0) return;
    const { log } = this, who = actorName(log.who(by));
    writer.classList.toggle("inherited", Boolean(inherited));
    setText(writer, `${who} ${log.seq[by] ?? ""}`);
    writer.title = `${inherited ? "stored with its container, written" : "last written"} by ${who}, seq ${log.seq[by] ?? "?"}: go there`;
    writer.at = by;
  }

  click(event) {
    const index = this.window.indexOf(event);
    if (index < 0) return;
    const writer = event.target.closest(".writer");
    if (writer) {
      this.jump(writer.at);
      return;
    }
    this.current = this.rows[index].id;
    this.toggle(this.rows[index]);
    this.moved();
  }

  toggle(row, open = !row.open) {
    if (row.opens) {
      if (open) this.open.add(row.id);
      else {
        this.open.delete(row.id);
        this.opened.delete(row.id);
      }
      this.flatten();
    }
    this.draw();
  }

  key(event) {
    const index = Math.max(0, this.rows.findIndex((row) => row.id === this.current));
    const row = this.rows[index];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    let next = index;
    if (event.key === "ArrowDown") next = Math.min(index + 1, this.rows.length - 1);
    else if (event.key === "ArrowUp") next = Math.max(index - 1, 0);
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = this.rows.length - 1;
    else if (event.key === "ArrowRight") row.opens && !row.open ? this.toggle(row, true) : (next = Math.min(index + 1, this.rows.length - 1));
    else if (event.key === "ArrowLeft") {
      if (row.opens && row.open) this.toggle(row, false);
      else while (next > 0 && this.rows[next].level >= row.level) next--;
    } else if (event.key === "Enter") row.by >= 0 ? this.jump(row.by) : this.toggle(row);
    else if (event.key === " ") this.toggle(row);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (next === index) return;
    this.current = this.rows[next].id;
    this.window.reveal(next);
    this.draw();
    this.moved();
  }
}

const rootId = (root) => `r${root}`;
const childId = (id, key) => `${id}/${identity(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
const bucketId = (id, number) => `${id}//${number}`;

let placeNumber = 0;

function makePlace() {
  const row = element("div");
  row.id = `place-${++placeNumber}`;
  row.setAttribute("role", "treeitem");
  const key = element("span", "key");
  key.append(element("bdi"));
  row.append(element("span", "twist"), key, element("span", "value"), element("span", "writer"));
  return row;
}

function kindOf(value) {
  const kind = value instanceof List ? "list" : value instanceof PSet ? "set" : "dict";
  return `${kind} of ${value.size.toLocaleString()}`;
}

// What a change touched: row id -> mark, and for a container "id gone" -> the items that were removed.
export function marksOf(log, at, world) {
  const marks = new Map();
  marks.paths = [];
  const body = log.body[at];
  if (log.root[at] < 0 || world.trouble(at)) return marks;
  const named = log.action(at) !== "init" && ("b" in body || "a" in body);
  for (const [root, path] of log.views(at).flatMap(([root, paths]) => paths.map((path) => [root, path]))) {
    const keys = named ? path.slice(0, -1) : path;
    const id = keys.reduce(childId, rootId(root)), gone = [];
    const touch = (key, was, is, before) => {
      if (!is) {
        if (gone.length < GHOSTS) gone.push({ key, value: before });
      } else marks.set(childId(id, key), was ? "update" : "add");
    };
    const target = keys.reduce((value, key) => (value instanceof List ? value.items[key] : value?.map?.get(identity(key))?.value), world.roots[root]?.value);
    if (log.action(at) === "init") marks.set(id, "init");
    else if (named) {
      const element = target instanceof PSet ? ("a" in body ? body.a : body.b) : path[path.length - 1];
      touch(element, "b" in body, "a" in body, body.b);
    } else if (body.s) {
      const [start, removed, inserted] = body.s;
      inserted.forEach((_, n) => touch(start + n, n < removed.length, true));
      removed.slice(inserted.length).forEach((item, n) => touch(start + inserted.length + n, true, false, item));
    } else if (body.o) body.o.forEach((old, now) => old !== now && touch(now, true, true));
    else for (const [key, before, after] of body.r ?? []) touch(key, !isMissing(before), !isMissing(after), before);
    if (gone.length) marks.set(`${id} gone`, gone);
    const first = named ? ("a" in body ? path[path.length - 1] : undefined) : body.s ? body.s[0] : body.r?.[0]?.[0];
    marks.paths.push({ root, keys: first === undefined || target instanceof PSet ? keys : [...keys, first] });
  }
  return marks;
}
