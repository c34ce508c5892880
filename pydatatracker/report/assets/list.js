// The changes that the filters select, one row each.

import { preview } from "./values.js";
import { ACTION_SIGNS, actionClass, actorName, dateAndTime, element, setText, timeOf } from "./dom.js";
import { Windowed } from "./windowed.js";

const ROW = 24;

export class ChangeList {
  // chosen(at): the user picked change at.
  constructor(box, log, chosen) {
    Object.assign(this, { box, log, shown: [], current: -1, matches: new Set() });
    this.pencil = document.createElement("canvas").getContext("2d");
    this.cuts = new Map(); // pointer -> how many of its first letters are cut off
    this.room = Infinity;
    this.rows = new Windowed(box, ROW, () => this.make(), (row, index) => this.show(row, index));
    box.addEventListener("click", (event) => {
      const index = this.rows.indexOf(event);
      if (index >= 0) chosen(this.shown[index]);
    });
  }

  // Fit the columns to the log, which has grown. The pointer gets the rest of the width.
  grow() {
    const { log, box } = this;
    const longest = (texts, least, most) => Math.min(most, texts.reduce((a, text) => Math.max(a, text.length), least));
    box.style.setProperty("--seq", longest(log.seq.map((seq) => String(seq ?? "")), 2, 12));
    box.style.setProperty("--actor", longest(log.actors.map(actorName), 6, 13));
    box.style.setProperty("--where", longest(log.places.map(([pointer]) => pointer), 8, 40) + (log.roots.length > 1 ? 3 : 0));
  }

  set(shown) {
    this.shown = shown;
    this.rows.resize(shown.length);
  }

  // The position of change at in the list, or the one that it would have.
  indexOf(at) {
    let low = 0, high = this.shown.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.shown[middle] < at) low = middle + 1; else high = middle;
    }
    return low;
  }

  select(at) {
    this.current = at;
    const index = this.indexOf(at);
    if (index < this.shown.length) this.rows.reveal(index);
    this.rows.draw();
    const row = this.rows.rows.find((each) => !each.hidden && this.shown[each.index] === at);
    if (row) this.box.setAttribute("aria-activedescendant", row.id); else this.box.removeAttribute("aria-activedescendant");
  }

  show(row, index) {
    const { log } = this, at = this.shown[index];
    const [seq, time, actor, action, where, values] = row.children;
    const does = log.action(at);
    row.setAttribute("aria-selected", String(at === this.current));
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.shown.length);
    row.classList.toggle("current", at === this.current);
    row.classList.toggle("match", this.matches.has(at));
    setText(seq, log.seq[at] === null ? "" : String(log.seq[at]));
    setText(time, timeOf(log.time[at]));
    time.title = dateAndTime(log.time[at]);
    setText(actor, actorName(log.who(at)));
    action.className = `action ${actionClass(does)}`;
    setText(action, Object.hasOwn(ACTION_SIGNS, does) ? `${ACTION_SIGNS[does]} ${does}` : preview(does).slice(1, -1));
    const place = preview(log.where(at), 400).slice(1, -1);
    const cut = this.cutOf(place);
    setText(where.firstChild, place.slice(0, cut));
    setText(where.lastChild, place.slice(cut));
    where.title = place;
    setText(values, summary(log.body[at]));
  }

  // How many of the first letters of a pointer to cut off. Its end is more telling.
  cutOf(place) {
    const known = this.cuts.get(place);
    if (known !== undefined) return known;
    const { pencil, room } = this;
    let low = 0, high = place.length;
    if (pencil.measureText(place).width > room) {
      while (low < high) {
        const middle = (low + high) >> 1;
        if (pencil.measureText(`…${place.slice(middle)}`).width > room) low = middle + 1; else high = middle;
      }
      if (/[\udc00-\udfff]/.test(place[low] ?? "")) low++; // half of a surrogate pair
    }
    if (this.cuts.size > 5000) this.cuts.clear();
    this.cuts.set(place, low);
    return low;
  }

  make() {
    const row = makeChange();
    if (!this.rows.rows.length) { // all rows are as wide as the first
      const where = row.querySelector(".where");
      new ResizeObserver(([{ contentRect }]) => {
        if (!contentRect.width || contentRect.width === this.room) return;
        this.room = contentRect.width;
        const { fontWeight, fontSize, fontFamily } = getComputedStyle(where);
        this.pencil.font = `${fontWeight} ${fontSize} ${fontFamily}`;
        this.cuts.clear();
        this.rows.draw();
      }).observe(where);
    }
    return row;
  }
}

let rowNumber = 0;

function makeChange() {
  const row = element("div");
  row.id = `change-${++rowNumber}`;
  row.setAttribute("role", "option");
  const where = element("span", "where");
  where.append(element("span", "off"), element("i"), element("bdi"));
  where.children[1].setAttribute("aria-hidden", "true");
  where.lastChild.dir = "ltr";
  row.append(element("span", "seq"), element("span", "when"), element("span", "actor"), element("span", "action"), where, element("span", "values"));
  return row;
}

// The values before and after a change as short text.
export function summary(body, room = 60) {
  if (body.g) {
    const [first, last, reason] = body.g;
    return `changes ${first ?? "?"}..${last ?? "?"} are missing${reason ? `: ${preview(reason, room).slice(1, -1)}` : ""}`;
  }
  if ("b" in body || "a" in body) {
    const before = "b" in body ? `${preview(body.b, room)} ` : "";
    return `${before}→ ${"a" in body ? preview(body.a, room) : ""}`.trim();
  }
  if (body.s) {
    const [start, removed, inserted] = body.s;
    return `[${start}:${start + removed.length}] ${removed.length ? `${preview(removed, room)} ` : ""}→ ${preview(inserted, room)}`;
  }
  if (body.o) return `→ new order of ${body.o.length} items`;
  if (body.r) return body.r.slice(0, 5).map((row) => preview(row[0], 20)).join(", ") + (body.r.length > 5 ? ` and ${body.r.length - 5} more` : "");
  return "";
}
