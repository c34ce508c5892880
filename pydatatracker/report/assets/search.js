// Search in what the listed changes wrote: values before and after, path and actor, as the page spells them.

import { preview } from "./values.js";
import { isMissing } from "./replay.js";
import { actorName, byId, plural } from "./dom.js";

const SEARCHED = 20_000; // characters of one value

export class Search {
  // go(at): show a change. draw(): the matches are others.
  constructor(log, go, draw) {
    Object.assign(this, { log, go, draw, texts: [], matches: [], known: new Set(), shown: [], current: -1 });
    this.field = byId("find");
    this.field.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.run(), this.log.size > 20_000 ? 150 : 0);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      clearTimeout(this.waiting);
      this.run();
      this.step(event.shiftKey ? -1 : 1);
    });
    byId("find-next").addEventListener("click", () => this.step(1));
    byId("find-back").addEventListener("click", () => this.step(-1));
  }

  // Search these changes from now on; the log may have grown, or begun anew.
  set(shown) {
    this.shown = shown;
    if (this.texts.length > this.log.size || this.generation !== this.log.generation) this.texts = [];
    this.generation = this.log.generation;
    this.run();
  }

  // O(characters of the values) the first time, then O(characters of the text that was searched).
  run() {
    const words = this.field.value.toLowerCase();
    this.matches = words === "" ? [] : this.shown.filter((at) => (this.texts[at] ??= textOf(this.log, at)).includes(words));
    this.known = new Set(this.matches);
    this.say();
    this.draw();
  }

  select(at) {
    this.current = at;
    this.say();
  }

  // Go to the nth next match, or to the first one after the last.
  step(by) {
    const { matches, current } = this;
    if (!matches.length) return;
    const at = matches[(this.positionOf(current) + (by > 0 && this.known.has(current) ? by : Math.min(by, 0)) + matches.length) % matches.length];
    this.go(at);
  }

  // How many matches are before a change.
  positionOf(at) {
    let low = 0, high = this.matches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.matches[middle] < at) low = middle + 1; else high = middle;
    }
    return low;
  }

  say() {
    const { matches, known, current } = this, here = known.has(current) ? `${(this.positionOf(current) + 1).toLocaleString()} of ` : "";
    byId("found").textContent = this.field.value === "" ? "" : here + plural(matches.length, "match", "matches");
    for (const id of ["find-next", "find-back"]) byId(id).disabled = matches.length === 0;
  }
}

function textOf(log, at) {
  const body = log.body[at], parts = [log.who(at) === "" ? "" : actorName(log.who(at)), preview(log.where(at), SEARCHED).slice(1, -1)];
  const value = (json) => parts.push(preview(json, SEARCHED));
  if ("b" in body) value(body.b);
  if ("a" in body) value(body.a);
  if (body.s) body.s.slice(1).forEach(value);
  for (const row of body.r ?? []) for (const json of row) if (!isMissing(json)) value(json);
  for (const path of (body.p ?? []).slice(1)) value(path);
  return parts.join("\n").toLowerCase();
}
