// Changes over time: one lane for each of the busiest actors, and one for all others.
// The ticks are drawn once. A step of the slider moves the cursor, which has the thumb of the slider at its foot, so
// that the two always agree.

import { clean } from "./values.js";
import { actionClass, actorName, byId, element } from "./dom.js";

const LANES = 9;
const LANE = 22;
const EDGE = 9; // pixels at both ends, for half a tick and half a thumb
const START = EDGE + 14; // the first change; the state before it is at the edge
const DRAWN = ["add", "update", "remove", "init", "other"];

export class Timeline {
  // chosen(at): the user clicked change at. picked(actor): the user clicked the name of an actor.
  constructor(plot, canvas, lanes, log, chosen, picked) {
    Object.assign(this, { plot, canvas, lanes, log, chosen, picked, byTime: false, current: -1, shown: [] });
    [this.slider, this.mark, this.tick] = ["slider", "cursor", "tick"].map(byId);
    new ResizeObserver(() => this.draw()).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    const point = (event) => {
      if (event.buttons & 1) this.chosen(this.changeAt(event.clientX - plot.getBoundingClientRect().left));
    };
    plot.addEventListener("pointerdown", (event) => {
      plot.setPointerCapture(event.pointerId);
      point(event);
    });
    plot.addEventListener("pointermove", point);
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
    byId("legend").replaceChildren(...this.legend());
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
    const all = this.bins(null), most = Math.max(1, ...all.map((bins) => bins.reduce((a, b) => Math.max(a, b), 0)));
    if (this.shown === null) this.paint(paint, all, most, colour, 1);
    else {
      this.paint(paint, all, most, colour, 0.2);
      this.paint(paint, this.bins(this.shown), most, colour, 1);
    }
    this.cursor();
  }

  // The number of changes by action, lane and pixel.
  bins(shown) {
    const { log, width } = this;
    const bins = DRAWN.map(() => new Uint32Array(width * this.count));
    const add = (at) => bins[this.kinds[log.does[at]]][this.laneOf[log.actor[at]] * width + this.xOf(at)]++;
    if (shown === null) for (let at = 0; at < log.size; at++) add(at);
    else shown.forEach(add);
    return bins;
  }

  paint(paint, bins, most, colour, alpha) {
    const { width } = this, room = LANE - 5, unit = room / Math.log1p(most), broad = this.log.size < width / 3 ? 1 : 0;
    paint.globalAlpha = alpha;
    for (let place = 0; place < width * this.count; place++) {
      const total = bins.reduce((sum, kind) => sum + kind[place], 0);
      if (!total) continue;
      const x = place % width, high = Math.min(room, Math.max(4, Math.log1p(total) * unit));
      let y = (Math.floor(place / width) + 1) * LANE - 2;
      bins.forEach((kind, n) => {
        if (!kind[place]) return;
        const part = high * kind[place] / total;
        paint.fillStyle = colour[DRAWN[n]];
        paint.fillRect(x - broad, y - part, 1 + 2 * broad, part);
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
