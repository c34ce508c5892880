// A list of any length; only the rows in sight are in the page.
// Its height and scroll position are remembered: reading them from the page in the middle of a step would force a new
// layout, which costs more than everything else.

const TALLEST = 15_000_000; // pixels: up to here browsers position exactly; a longer list scrolls in larger steps

export class Windowed {
  // make(): returns an element for a row. show(element, index): fills it with row index.
  constructor(box, rowHeight, make, show, part = 0.1) {
    Object.assign(this, { part, box, rowHeight, make, show, count: 0, rows: [], waiting: false, top: 0, height: box.clientHeight, revealed: 0 });
    this.inner = document.createElement("div");
    this.inner.className = "inner";
    this.inner.setAttribute("role", "presentation");
    box.append(this.inner);
    box.addEventListener("scroll", () => this.later());
    new ResizeObserver(() => {
      this.height = box.clientHeight;
      this.top = box.scrollTop;
      if (this.revealed < this.count) this.reveal(this.revealed);
      this.draw();
    }).observe(box);
  }

  later() {
    if (this.waiting || this.box.scrollTop === this.top) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.top = this.box.scrollTop;
      this.draw();
    });
  }

  // Set the number of rows; draw() shows them.
  resize(count) {
    if (count === this.count) return;
    this.count = count;
    this.inner.style.height = `${this.tall}px`;
    this.top = Math.max(0, Math.min(this.top, this.tall - this.height));
  }

  get tall() { return Math.min(this.count * this.rowHeight, TALLEST); }

  get factor() { return Math.max(1, (this.count * this.rowHeight) / TALLEST); }
  get page() { return Math.max(1, Math.floor(this.height / this.rowHeight) - 1); }

  // Scroll as little as possible to show row index, with a part of the height above and below it.
  reveal(index, part = this.part) {
    const { rowHeight, factor, height } = this;
    this.revealed = index;
    if (factor > 1 && this.rows.some((row) => row.index === index && !row.hidden)) return;
    const margin = Math.min(part * height, height / 2 - rowHeight), place = (index * rowHeight) / factor;
    let top = Math.min(this.top, place - margin);
    top = Math.max(top, place + rowHeight + margin - height);
    top = Math.round(Math.max(0, Math.min(top, this.tall - height)));
    if (top !== this.top) this.box.scrollTop = this.top = top;
  }

  draw() {
    const { top, rowHeight, rows } = this;
    const first = (top * this.factor) / rowHeight;
    const base = Math.max(0, Math.floor(first));
    const start = top - (first - base) * rowHeight;
    const wanted = Math.max(0, Math.min(this.count - base, Math.ceil(this.height / rowHeight) + 1));
    while (rows.length < wanted) {
      const row = this.make();
      row.className = "row";
      this.inner.append(row);
      rows.push(row);
    }
    rows.forEach((row, n) => {
      row.hidden = n >= wanted;
      row.index = base + n;
      if (row.hidden) return;
      row.style.transform = `translateY(${start + n * rowHeight}px)`;
      this.show(row, base + n);
    });
  }

  // The index of the row of an event, or -1.
  indexOf(event) {
    const row = event.target.closest(".row");
    return row === null ? -1 : row.index;
  }
}
