// Changes over time: one lane for each of the busiest actors, and one for all others. A change is a tick; where there are
// more changes than there is room for ticks, a lane is a histogram, whose bars are as high as their number of changes.
// The ticks are drawn once. A step of the slider moves the cursor, which has the thumb of the slider at its foot, so
// that the two always agree.

import { clean } from "./values.js";
import { actionClass, actorName, byId, element } from "./dom.js";

const LANES = 9;
const LANE = 22;
const EDGE = 9; // pixels at both ends, for half a tick and half a thumb
const START = EDGE + 14; // the first change; the state before it is at the edge
const BAR = 4; // pixels of a bar of the histogram, with its gap
const DRAG = 4; // pixels from which on a press is a drag
const DRAWN = ["add", "update", "remove", "init", "other"];

export class Timeline {
  // chosen(at): the user clicked change at. picked(actor): the user clicked the name of an actor. spanned(from, to): the
  // user dragged from one change to another.
  constructor(plot, canvas, lanes, log, chosen, picked, spanned) {
    Object.assign(this, { plot, canvas, lanes, log, chosen, picked, byTime: false, current: -1, shown: [], span: null });
    [this.slider, this.mark, this.tick] = ["slider", "cursor", "tick"].map(byId);
    new ResizeObserver(() => this.draw()).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const xOf = (event) => event.clientX - plot.getBoundingClientRect().left;
    let start = null; // where a press on the lanes began, and whether it is a drag; one on the rail moves the cursor only
    const point = (event) => {
      if (!(event.buttons & 1)) return;
      this.chosen(this.changeAt(xOf(event)));
      if (start === null || (!start.drag && Math.abs(xOf(event) - start.x) < DRAG)) return;
      start.drag = true;
      this.setSpan(this.between(...[start.x, xOf(event)].sort((a, b) => a - b)));
    };
    plot.addEventListener("pointerdown", (event) => {
      plot.setPointerCapture(event.pointerId);
      start = event.target === canvas ? { x: xOf(event), drag: false } : null;
      point(event);
    });
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerup", () => {
      if (start?.drag && this.span) spanned(...this.span);
      start = null;
    });
    plot.addEventListener("pointercancel", () => start = null);
    canvas.addEventListener("dblclick", (event) => { // all changes of a bar
      const found = this.inBar(this.barOf(xOf(event)));
      if (this.isDense && found.length) spanned(found[0], found[found.length - 1]);
    });
    plot.addEventListener("mousedown", (event) => {
      event.preventDefault(); // it would remove the focus again
      this.slider.focus();
    });
  }

  // Count the changes again, as the log has grown.
  grow() {
    const { log } = this, counts = new Array(log.actors.length).fill(0);
    for (const actor of log.actor) counts[actor]++;
    const order = counts.map((_, actor) => actor).sort((a, b) => counts[b] - counts[a]);
    const own = order.slice(0, order.length > LANES + 1 ? LANES : order.length);
    this.laneOf = new Array(counts.length).fill(own.length);
    own.forEach((actor, lane) => this.laneOf[actor] = lane);
    this.names = own;
    this.count = own.length + (order.length > own.length ? 1 : 0);
    this.lanes.replaceChildren(...own.map((actor) => {
      const name = log.actors[actor], button = element("button", "lane");
      button.type = "button";
      button.append(element("span", "", actorName(name)), element("small", "", counts[actor].toLocaleString()));
      button.title = `only the changes by ${actorName(name)}`;
      button.addEventListener("click", () => this.picked(actor));
      return button;
    }));
    if (this.count > own.length) this.lanes.append(element("span", "lane", `${order.length - own.length} others`));
    this.kinds = log.actions.map((action) => DRAWN.indexOf(DRAWN.includes(action) ? action : "other"));
    const density = element("small");
    density.id = "density";
    density.setAttribute("role", "listitem");
    byId("legend").replaceChildren(...this.legend(), density);
    let [first, last] = [Infinity, -Infinity];
    for (const time of log.time) if (time !== null) [first, last] = [Math.min(first, time), Math.max(last, time)];
    Object.assign(this, { first, last });
    this.draw();
  }

  // The colours of the actions that the log has.
  *legend() {
    for (const [kind, name] of DRAWN.entries()) {
      const actions = this.log.actions.filter((_, n) => this.kinds[n] === kind);
      if (!actions.length) continue;
      const item = element("span", `is-${name}`, actions.every((each) => each === "lock" || each === "unlock") ? "lock" : name);
      item.setAttribute("role", "listitem");
      item.title = actions.slice(0, 20).map(clean).join(", ");
      yield item;
    }
  }

  // Dim all changes but these; null: none.
  set(shown) {
    this.shown = shown;
    this.draw();
  }

  select(at) {
    this.current = at;
    this.cursor();
  }

  // Show which changes are selected, from one to another; null: all.
  setSpan(span) {
    this.span = span && [Math.max(0, Math.min(...span)), Math.max(0, ...span)];
    const band = byId("band");
    band.hidden = this.span === null || !this.log.size;
    if (band.hidden) return;
    const [left, right] = this.span.map((at) => this.xOf(at));
    band.style.transform = `translateX(${Math.min(left, right) - 2}px)`;
    band.style.width = `${Math.abs(right - left) + 5}px`;
  }

  // The first and the last change between two x; null if there is none.
  between(left, right) {
    let from = Math.max(0, this.changeAt(left)), to = this.changeAt(right);
    if (this.xOf(from) + 1 < left) from++;
    if (to >= 0 && this.xOf(to) > right) to--;
    return from <= to ? [from, to] : null;
  }

  // Whether the changes take up much of the timeline by time, too.
  get isSpread() {
    const { first, last, log, wide } = this, bars = new Set();
    if (!(last > first)) return false;
    for (const time of log.time) bars.add(Math.floor(((time ?? first) - first) / (last - first) * wide / BAR));
    return bars.size * 5 > wide / BAR;
  }

  get isDense() { return this.log.size >= this.width / 3; }
  barOf(x) { return Math.max(0, Math.floor((x - START) / BAR)); }
  inBar(bar) {
    const found = [];
    for (let at = 0; at < this.log.size; at++) if (this.barOf(this.xOf(at)) === bar) found.push(at);
    return found;
  }

  get wide() { return Math.max(1, this.width - 1 - EDGE - START); }
  get timed() { return this.byTime && this.last > this.first; }

  // The x of change at, in pixels; -1: before the first.
  xOf(at) {
    const { log } = this;
    if (at < 0) return EDGE;
    const part = this.timed ? ((log.time[at] ?? this.first) - this.first) / (this.last - this.first) : at / Math.max(1, log.size - 1);
    return START + Math.floor(part * this.wide);
  }

  changeAt(x) {
    const { log } = this, part = Math.min(1, Math.max(0, (x - 0.5 - START) / this.wide));
    if (x < (EDGE + START) / 2) return -1;
    if (!this.timed) return Math.round(part * (log.size - 1));
    const time = this.first + part * (this.last - this.first);
    let low = 0, high = log.size - 1; // approximate if the clock was set back
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((log.time[middle] ?? this.first) < time) low = middle + 1; else high = middle;
    }
    return low > 0 && time - (log.time[low - 1] ?? 0) < (log.time[low] ?? 0) - time ? low - 1 : low;
  }

  draw() {
    this.width = this.plot.clientWidth;
    if (!this.width || !this.laneOf) return;
    const scale = devicePixelRatio || 1, high = Math.max(1, this.count) * LANE;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(high * scale);
    this.canvas.style.height = `${high}px`;
    const paint = this.canvas.getContext("2d");
    paint.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const colour = Object.fromEntries(DRAWN.map((name) => [name, style.getPropertyValue(`--${name}`)]));
    paint.fillStyle = style.getPropertyValue("--rule");
    for (let lane = 1; lane <= this.count; lane++) paint.fillRect(0, lane * LANE - 1, this.width, 1);
    const all = this.bins(null), most = this.most(all);
    byId("density").textContent = this.isDense ? `a full bar: ${most.toLocaleString()}` : "";
    if (this.shown === null) this.paint(paint, all, most, colour, 1);
    else {
      this.paint(paint, all, most, colour, 0.2);
      this.paint(paint, this.bins(this.shown), most, colour, 1);
    }
    this.cursor();
    this.setSpan(this.span);
  }

  // The number of changes by action, lane and pixel or bar.
  bins(shown) {
    const { log, width, isDense } = this;
    const bins = DRAWN.map(() => new Uint32Array(width * this.count));
    const add = (at) => {
      const x = this.xOf(at);
      bins[this.kinds[log.does[at]]][this.laneOf[log.actor[at]] * width + (isDense ? this.barOf(x) : x)]++;
    };
    if (shown === null) for (let at = 0; at < log.size; at++) add(at);
    else shown.forEach(add);
    return bins;
  }

  // The most changes of a pixel or bar.
  most(bins) {
    let most = 1;
    for (let place = 0; place < this.width * this.count; place++) most = Math.max(most, bins.reduce((sum, kind) => sum + kind[place], 0));
    return most;
  }

  paint(paint, bins, most, colour, alpha) {
    const { width, isDense } = this, room = LANE - 5;
    paint.globalAlpha = alpha;
    for (let place = 0; place < width * this.count; place++) {
      const total = bins.reduce((sum, kind) => sum + kind[place], 0);
      if (!total) continue;
      const left = isDense ? START + (place % width) * BAR - 1 : (place % width) - 1;
      const high = isDense ? Math.max(2, (total / most) * room) : Math.max(4, (Math.log1p(total) / Math.log1p(most)) * room);
      let y = (Math.floor(place / width) + 1) * LANE - 2;
      bins.forEach((kind, n) => {
        if (!kind[place]) return;
        const part = high * kind[place] / total;
        paint.fillStyle = colour[DRAWN[n]];
        paint.fillRect(left, y - part, 3, part);
        y -= part;
      });
    }
    paint.globalAlpha = 1;
  }

  cursor() {
    const at = Math.min(this.current, this.log.size - 1), lane = at < 0 ? -1 : this.laneOf[this.log.actor[at]];
    this.mark.style.transform = `translateX(${this.xOf(at)}px)`;
    this.tick.hidden = at < 0;
    for (const [n, each] of [...this.lanes.children].entries()) each.classList.toggle("current", n === lane);
    if (at < 0) return;
    this.tick.className = actionClass(this.log.action(at));
    this.tick.style.transform = `translateY(${lane * LANE}px)`;
  }
}
