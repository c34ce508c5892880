// The parts of the page, joined: one change is the current one, and every part shows it.

import { clean, preview } from "./values.js";
import { World } from "./replay.js";
import { Log, compileGlob, compileSpan } from "./log.js";
import { fragmentOf, keysOf, parseFragment } from "./address.js";
import { actorName, byId, dateAndTime, element, plural } from "./dom.js";
import { ChangeList } from "./list.js";
import { Tree } from "./tree.js";
import { Compare } from "./compare.js";
import { Export } from "./export.js";
import { Search } from "./search.js";
import { Timeline } from "./timeline.js";
import { showDetails } from "./details.js";
import { followed, spotsOf } from "./trail.js";
import { follow } from "./live.js";

const log = new Log();
const world = new World(log);
const slider = byId("slider");
const list = new ChangeList(byId("list"), log, go);
const tree = new Tree(byId("tree"), log, world, go, remember);
const search = new Search(log, go, () => {
  list.matches = search.known;
  list.rows.draw();
});
const compare = new Compare(log, world, (at, root, keys) => go(at, { root, keys }), selectSpan);
const exporting = new Export(log, world, () => [shown, wanted()]);
const timeline = new Timeline(byId("plot"), byId("canvas"), byId("lanes"), log, go, pick, selectSpan);
let current = -1; // -1: before the first change
let shown = [];
let drawing = false;
let wanting = null; // a path to open with the next change that is drawn

// Show change `at`. The page is drawn once per frame, however often the slider has moved.
function go(at, path = null) {
  current = Math.max(-1, Math.min(at, log.size - 1));
  wanting = path;
  remember();
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(drawn);
}

// Draw what is not drawn yet.
function drawn() {
  if (drawing) draw();
  drawing = false;
}

function draw() {
  world.seek(current + 1);
  slider.value = String(current + 1);
  const words = current < 0 ? "before the first change"
    : `change ${(current + 1).toLocaleString()} of ${log.size.toLocaleString()}${log.seq[current] === null ? "" : ` · seq ${log.seq[current]}`}`;
  byId("position").textContent = current < 0 ? words : `${words} · ${dateAndTime(log.time[current])}`;
  slider.setAttribute("aria-valuetext", current < 0 ? words
    : `${words}: ${clean(log.action(current))} ${preview(log.where(current), 120).slice(1, -1)} by ${actorName(log.who(current))}`);
  list.select(current);
  search.select(current);
  tree.update(current);
  if (wanting !== null) openPath(wanting);
  timeline.select(current);
  showDetails(byId("details"), log, world, current);
}

function openPath({ root, steps, keys }) {
  const found = tree.visit(root, keys ?? keysOf(world.roots[root]?.value, steps)).length;
  wanting = null;
  if (keys || (world.roots[root] && found === steps.length)) return;
  const name = `${log.label(root)}${steps.map((step) => `/${step}`).join("")}`;
  notify(`There is no ${preview(name, 120).slice(1, -1)} at this change.`);
}

function notify(text) { byId("notice").textContent = clean(text); }

// ---- the address

let writing = 0;

// Write the change and the path into the address, once the user has stopped: browsers refuse to do it often.
function remember() {
  notify("");
  clearTimeout(writing);
  writing = setTimeout(address, 300);
}

function address() {
  clearTimeout(writing);
  drawn();
  const { root, keys } = tree.chosen(), fragment = `#${fragmentOf(log, current, root, keys)}`;
  try {
    history.replaceState(null, "", fragment);
  } catch { /* a page inside another one, which keeps its address */ }
  return location.href.replace(/#.*$/, "") + fragment;
}

// Go where a fragment says.
function visit(fragment) {
  const { at, root, steps, trouble } = parseFragment(log, fragment);
  if (at !== null || steps !== null) go(at ?? current, steps && { root, steps });
  clearTimeout(writing); // the address has it already
  notify(trouble);
}

async function copyLink() {
  const link = address();
  try {
    await navigator.clipboard.writeText(link);
    notify("The link was copied.");
  } catch {
    notify(`The browser does not allow to copy: ${link}`);
  }
}

// Go to the nearest change forward (1) or back (-1), of those that the filters select, that fits.
function nearest(by, fits, what) {
  const here = list.indexOf(current);
  for (let n = shown[here] === current || by < 0 ? here + by : here; n >= 0 && n < shown.length; n += by) {
    if (fits(shown[n])) return go(shown[n]);
  }
  notify(`No ${by < 0 ? "earlier" : "later"} change ${what}.`);
}

let place = { at: -1 }; // the one that is followed, as long as the user goes nowhere else

function ofPlace(by) {
  if (current < 0) return;
  if (place.at !== current) place = { at: current, name: preview(log.where(current), 80).slice(1, -1) };
  const spots = place.spots?.length ? place.spots : spotsOf(log, world, current, by); // it was removed here
  const isShown = (at) => shown[list.indexOf(at)] === at;
  const found = followed(log, world, spots, current, by, isShown);
  if (found === null) return notify(`No ${by < 0 ? "earlier" : "later"} change of ${place.name}.`);
  place = { ...place, ...found };
  go(found.at);
}

function ofActor(by) {
  if (current >= 0) nearest(by, (at) => log.actor[at] === log.actor[current], `by ${actorName(log.who(current))}`);
}

// Go to the nth change from here among those that the filters select.
function step(by) {
  const here = list.indexOf(current);
  const next = shown[here] === current || by < 0 ? here + by : here + by - 1;
  if (by < 0 && next < 0) go(here === 0 && current >= 0 ? -1 : shown[0] ?? -1);
  else if (shown.length) go(shown[Math.min(next, shown.length - 1)]);
}

// ---- filters

function wanted() {
  const found = { actor: byId("actor").value, action: byId("action").value, text: byId("text").value }, complaints = [];
  for (const [name, compile] of [["glob", compileGlob], ["span", compileSpan]]) {
    const given = byId(name).value.trim();
    let complaint = "";
    try {
      if (given) compile(given);
    } catch (error) {
      complaints.push(complaint = error.message);
    }
    byId(name).setAttribute("aria-invalid", String(complaint !== ""));
    found[name] = complaint ? "" : given;
  }
  byId("complaint").textContent = complaints.join(" ");
  return found;
}

// Select the changes between two, in either order, as the filter of seq does.
function selectSpan(one, other) {
  const [from, to] = [Math.max(0, Math.min(one, other)), Math.max(0, one, other)];
  const isNumbered = !log.isMixed && [from, to].every((at) => log.seq[at] !== null);
  byId("span").value = isNumbered ? `${log.seq[from]}..${log.seq[to]}` : `#${from + 1}..#${to + 1}`;
  filter();
}

function openCompare() {
  drawn();
  compare.open(current, timeline.span);
}

function openExport() {
  drawn();
  exporting.open();
}

let anchor = { at: -1, current: -1 }; // where a span that is selected by keys begins, and where it ends

function extendSpan(by) {
  if (!log.size) return;
  if (anchor.current !== current) anchor.at = Math.max(0, current);
  go(Math.max(0, Math.min(current + by, log.size - 1)));
  anchor.current = current;
  selectSpan(anchor.at, current);
}

function filter() {
  const filters = wanted();
  const all = Object.values(filters).every((each) => each === "") && !log.unlisted.size;
  shown = log.select(filters);
  byId("count").textContent = all ? "" : `${shown.length.toLocaleString()} of ${plural(log.size, "change")}`;
  list.set(shown);
  list.select(current);
  search.set(shown);
  timeline.setSpan(filters.span && shown.length ? [shown[0], shown[shown.length - 1]] : null);
  timeline.set(all ? null : shown);
}

function clearField(id) {
  byId(id).value = "";
  filter(); // it searches, too
}

function pick(actor) {
  const value = `=${log.actors[actor]}`;
  byId("actor").value = byId("actor").value === value ? "" : value;
  filter();
}

function options(select, names, value, say) {
  const chosen = select.value;
  const every = element("option", "", "all");
  every.value = "";
  select.replaceChildren(every, ...names.map((name) => {
    const option = element("option", "", say(name));
    option.value = value(name);
    return option;
  }));
  select.value = chosen;
}

// ---- the log, and later changes

function grow(part) {
  const atEnd = current === log.size - 1;
  if (part.generation !== log.generation) {
    log.clear();
    world.reset();
  }
  log.append(part);
  document.title = `${clean(part.name)} – changes`;
  byId("name").textContent = clean(part.name);
  const bad = part.badCount ? ` · ${plural(part.badCount, "line")} could not be read` : "";
  byId("facts").textContent = `${plural(log.size, "change")} by ${plural(log.actors.length, "actor")}${bad}`;
  byId("facts").title = part.bad.map(clean).join("\n");
  slider.max = String(log.size);
  byId("first-time").textContent = log.size ? dateAndTime(log.time[0]) : "";
  byId("last-time").textContent = log.size ? dateAndTime(log.time[log.size - 1]) : "";
  byId("canvas").setAttribute("aria-label", `${plural(log.size, "change")} by ${log.actors.slice(0, 20).map(actorName).join(", ")}`);
  options(byId("actor"), [...log.actors].sort(), (name) => `=${name}`, actorName);
  options(byId("action"), [...log.actions].sort(), (name) => name, clean);
  list.grow();
  timeline.grow();
  filter();
  current = atEnd ? log.size - 1 : Math.min(current, log.size - 1);
  draw();
}

function scale(byTime) {
  timeline.byTime = byTime;
  byId("by-number").setAttribute("aria-pressed", String(!byTime));
  byId("by-time").setAttribute("aria-pressed", String(byTime));
  timeline.draw();
}

// ---- input

slider.addEventListener("input", () => go(Number(slider.value) - 1));
byId("filters").addEventListener("input", filter);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("reset", () => setTimeout(filter));
byId("by-number").addEventListener("click", () => scale(false));
byId("by-time").addEventListener("click", () => scale(true));
byId("follow").addEventListener("change", (event) => {
  tree.follow = event.target.checked;
  draw();
});
byId("compare-button").addEventListener("click", openCompare);
byId("export-button").addEventListener("click", openExport);
byId("copy").addEventListener("click", copyLink);
addEventListener("hashchange", () => visit(location.hash));
byId("help-button").addEventListener("click", () => byId("help").showModal());

const KEYS = {
  ArrowLeft: () => step(-1), ArrowUp: () => step(-1), k: () => step(-1),
  ArrowRight: () => step(1), ArrowDown: () => step(1), j: () => step(1),
  PageUp: () => step(-20), PageDown: () => step(20),
  Home: () => go(shown[0] ?? -1), End: () => go(shown[shown.length - 1] ?? -1),
  Escape: () => clearField("span"), "/": () => byId("text").focus(), s: () => byId("find").focus(), n: () => search.step(1), N: () => search.step(-1), "?": () => byId("help").showModal(),
  m: () => {
    compare.marked = current + 1;
    notify("Marked: c compares this moment with another one.");
  },
  c: openCompare, e: openExport,
  p: () => ofPlace(1), P: () => ofPlace(-1), a: () => ofActor(1), A: () => ofActor(-1), l: copyLink,
  t: () => scale(!timeline.byTime), f: () => byId("follow").click(),
};

const SPANS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -20, PageDown: 20 };

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const field = event.target.closest("select, input:not([type=range], [type=checkbox]), textarea");
  if (field) {
    if (event.key === "Escape") {
      if (field.value === "" || field.tagName === "SELECT") field.blur(); else clearField(field.id);
    }
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  if (event.shiftKey && SPANS[event.key]) extendSpan(SPANS[event.key]); else KEYS[event.key]();
});

const data = byId("data");
grow(JSON.parse(data.textContent));
data.remove(); // the text is not needed any more
if (timeline.isDense && timeline.isSpread) scale(true);
visit(location.hash);
if (data.dataset.live === "yes") {
  byId("facts").after(element("p", "live", "following"));
  const live = document.querySelector(".live");
  follow(log, grow, (text) => live.textContent = text);
}
