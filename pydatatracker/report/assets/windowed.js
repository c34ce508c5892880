// A list of any length of which only the rows in sight are in the page.

const TALLEST = 15_000_000; // pixels that browsers still place exactly; beyond, scrolling is in larger steps

export class Windowed {
  // make(): a row element. show(element, index): put row index into it.
  constructor(box, rowHeight, make, show) {
    Object.assign(this, { box, rowHeight, make, show, count: 0, rows: [], waiting: false });
    this.inner = document.createElement("div");
    this.inner.className = "inner";
    this.inner.setAttribute("role", "presentation");
    box.append(this.inner);
    box.addEventListener("scroll", () => this.later());
    new ResizeObserver(() => this.draw()).observe(box);
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  resize(count) {
    this.count = count;
    this.inner.style.height = `${Math.min(count * this.rowHeight, TALLEST)}px`;
    this.draw();
  }

  get factor() { return Math.max(1, (this.count * this.rowHeight) / TALLEST); }
  get page() { return Math.max(1, Math.floor(this.box.clientHeight / this.rowHeight) - 1); }

  // Scroll as little as shows row index with some rows around it.
  reveal(index) {
    const { rowHeight, factor, box } = this;
    const margin = Math.min(2 * rowHeight, box.clientHeight / 3);
    const top = (index * rowHeight) / factor;
    if (factor > 1 && this.rows.some((row) => row.index === index && !row.hidden)) return;
    if (top < box.scrollTop + margin) box.scrollTop = top - margin;
    else if (top + rowHeight > box.scrollTop + box.clientHeight - margin) {
      box.scrollTop = top + rowHeight + margin - box.clientHeight;
    }
  }

  draw() {
    const { box, rowHeight, rows } = this;
    const first = (box.scrollTop * this.factor) / rowHeight;
    const base = Math.max(0, Math.floor(first));
    const start = box.scrollTop - (first - base) * rowHeight;
    const wanted = Math.min(this.count - base, Math.ceil(box.clientHeight / rowHeight) + 1);
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

  // The row that an event is in, or -1.
  indexOf(event) {
    const row = event.target.closest(".row");
    return row === null ? -1 : row.index;
  }
}
