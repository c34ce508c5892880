// The changes that the filters let through, one row each.

import { preview } from "./values.js";
import { ACTION_SIGNS, actionClass, actorName, dateAndTime, element, setText, timeOf } from "./dom.js";
import { Windowed } from "./windowed.js";

const ROW = 24;

export class ChangeList {
  // chosen(at): the user picked change at.
  constructor(box, log, chosen) {
    Object.assign(this, { box, log, shown: [], current: -1 });
    this.rows = new Windowed(box, ROW, makeChange, (row, index) => this.show(row, index));
    box.addEventListener("click", (event) => {
      const index = this.rows.indexOf(event);
      if (index >= 0) chosen(this.shown[index]);
    });
  }

  set(shown) {
    this.shown = shown;
    this.rows.resize(shown.length);
  }

  // Where change at stands among those shown, or where it would.
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
    setText(seq, log.seq[at] === null ? "" : String(log.seq[at]));
    setText(time, timeOf(log.time[at]));
    time.title = dateAndTime(log.time[at]);
    setText(actor, actorName(log.who(at)));
    action.className = `action ${actionClass(does)}`;
    setText(action, Object.hasOwn(ACTION_SIGNS, does) ? `${ACTION_SIGNS[does]} ${does}` : preview(does).slice(1, -1));
    const place = preview(log.where(at), 400).slice(1, -1);
    setText(where.firstChild, place);
    where.title = place;
    setText(values, summary(log.body[at]));
  }
}

let rowNumber = 0;

function makeChange() {
  const row = element("div");
  row.id = `change-${++rowNumber}`;
  row.setAttribute("role", "option");
  const where = element("span", "where");
  where.append(element("bdi"));
  where.firstChild.dir = "ltr";
  row.append(element("span", "seq"), element("span", "when"), element("span", "actor"), element("span", "action"), where, element("span", "values"));
  return row;
}

// What was there and what is, in few words.
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
