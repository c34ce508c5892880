// Two states compared: which paths were added, removed and changed, and which changes are between.

import { Dict, List, PSet, canonical, clean, isContainer, pointerOf, preview } from "./values.js";
import { byId, actorName, dateAndTime, element, plural } from "./dom.js";

const SHOWN_DIFFERENCES = 500;
const SIGNS = { added: "+", removed: "−", changed: "~" };

// Yield { kind, root, keys, before, after } for each difference of two states, which are the values of roots.
export function* differences(before, after) {
  for (let root = 0; root < Math.max(before.length, after.length); root++) {
    const [a, b] = [before[root]?.value, after[root]?.value];
    if (a !== undefined && b !== undefined) yield* between(a, b, root, []);
    else if (b !== undefined) yield { kind: "added", root, keys: [], after: b };
  }
}

function* between(a, b, root, keys) {
  if (a === b) return; // a container that both states share, too
  if (!isContainer(a) || !isContainer(b) || a.constructor !== b.constructor) {
    if (canonical(a) !== canonical(b)) yield { kind: "changed", root, keys, before: a, after: b };
  } else if (a instanceof List) yield* betweenLists(a.items, b.items, root, keys);
  else {
    for (const [id, { key, value }] of a.map) {
      if (!b.map.has(id)) yield { kind: "removed", root, keys: [...keys, key], before: value };
      else if (a instanceof Dict && !(a instanceof PSet)) yield* between(value, b.map.get(id).value, root, [...keys, key]);
    }
    for (const [id, { key, value }] of b.map) if (!a.map.has(id)) yield { kind: "added", root, keys: [...keys, key], after: value };
  }
}

// What both ends have in common is the same items. Of the rest, items of one index are compared if there are as many.
function* betweenLists(a, b, root, keys) {
  const same = (x, y) => x === y || canonical(x) === canonical(y);
  let start = 0, end = 0;
  const most = Math.min(a.length, b.length);
  while (start < most && same(a[start], b[start])) start++;
  while (end < most - start && same(a[a.length - 1 - end], b[b.length - 1 - end])) end++;
  const [removed, added] = [a.length - start - end, b.length - start - end], pairs = Math.min(removed, added);
  for (let n = start; n < start + pairs; n++) yield* between(a[n], b[n], root, [...keys, n]);
  for (let n = start + pairs; n < start + removed; n++) yield { kind: "removed", root, keys: [...keys, n], before: a[n] };
  for (let n = start + pairs; n < start + added; n++) yield { kind: "added", root, keys: [...keys, n], after: b[n] };
}

export class Compare {
  // visit(at, root, keys): show the data at a path just after a change. span(from, to): list only these changes.
  constructor(log, world, visit, span) {
    Object.assign(this, { log, world, visit, span, marked: null });
    this.box = byId("compare");
    for (const id of ["compare-a", "compare-b"]) byId(id).addEventListener("input", () => this.draw());
    byId("compare-swap").addEventListener("click", () => {
      const [a, b] = this.ends();
      this.set(b, a);
    });
    byId("compare-list").addEventListener("click", () => {
      const [a, b] = this.ends().sort((x, y) => x - y);
      this.box.close();
      this.span(a, b - 1);
    });
  }

  // Compare the marked moment, or else the beginning of what is selected, with the current one.
  open(current, selected) {
    this.set(this.marked ?? selected?.[0] ?? 0, this.marked === null && selected ? selected[1] + 1 : current + 1);
    this.box.showModal();
  }

  set(a, b) {
    for (const [id, n] of [["compare-a", a], ["compare-b", b]]) {
      byId(id).max = String(this.log.size);
      byId(id).value = String(Math.max(0, Math.min(n, this.log.size)));
    }
    this.draw();
  }

  // How many changes each of the two states has.
  ends() {
    return ["compare-a", "compare-b"].map((id) => {
      const given = byId(id).valueAsNumber;
      return Number.isInteger(given) ? Math.max(0, Math.min(given, this.log.size)) : 0;
    });
  }

  draw() {
    const { log, world } = this, [a, b] = this.ends();
    ["compare-a-is", "compare-b-is"].forEach((id, n) => byId(id).textContent = nameOf(log, [a, b][n] - 1));
    const [before, after] = world.states(a, b), counts = { added: 0, removed: 0, changed: 0 }, rows = [];
    let all = 0;
    for (const found of differences(before, after)) {
      counts[found.kind]++;
      if (all++ < SHOWN_DIFFERENCES) rows.push(this.row(found, a, b));
    }
    byId("compare-count").textContent = all ? Object.entries(counts).filter(([, n]) => n).map(([kind, n]) => `${n.toLocaleString()} ${kind}`).join(", ") : "no difference";
    byId("compare-rows").replaceChildren(...rows);
    if (all > SHOWN_DIFFERENCES) byId("compare-rows").append(element("li", "dim", `and ${(all - SHOWN_DIFFERENCES).toLocaleString()} more`));
    const [from, to] = a < b ? [a, b] : [b, a], actors = new Map();
    for (let at = from; at < to; at++) actors.set(log.who(at), (actors.get(log.who(at)) ?? 0) + 1);
    const many = [...actors].sort((x, y) => y[1] - x[1]).slice(0, 10).map(([name, n]) => `${actorName(name)} ${n.toLocaleString()}`);
    byId("compare-between").textContent = `${plural(to - from, "change")} between${many.length ? `: ${many.join(", ")}${actors.size > 10 ? ", …" : ""}` : ""}`;
    byId("compare-list").disabled = from === to;
  }

  row({ kind, root, keys, before, after }, a, b) {
    const item = element("li"), action = { added: "add", removed: "remove", changed: "update" }[kind];
    const name = `${this.log.label(root)}${pointerOf(keys)}` || "(root)";
    const link = element("button", "", clean(name));
    link.type = "button";
    link.addEventListener("click", () => {
      this.box.close();
      this.visit((kind === "removed" ? a : b) - 1, root, keys);
    });
    const text = kind === "changed" ? `${preview(before, 100)} → ${preview(after, 100)}` : preview(kind === "added" ? after : before, 200);
    item.append(element("span", `action is-${action}`, `${SIGNS[kind]} ${kind}`), link, element("span", "values", text));
    return item;
  }
}

function nameOf(log, at) {
  if (at < 0) return "before the first change";
  return `${log.seq[at] === null ? "" : `seq ${log.seq[at]} · `}${clean(log.action(at))} ${preview(log.where(at), 60).slice(1, -1)} by ${actorName(log.who(at))} · ${dateAndTime(log.time[at])}`;
}
