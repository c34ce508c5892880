// Elements of the page. Text of a log enters the page only through these functions, as text.

import { clean } from "./values.js";

export const byId = (id) => document.getElementById(id);

export function element(tag, className = "", text = null) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  return made;
}

// Set the text of a node only if it is new: most of a row stays the same when it is drawn again.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export const actorName = (name) => (name === "" ? "(no actor)" : clean(name));

export const ACTION_SIGNS = { add: "+", update: "~", remove: "−", init: "●", lock: "■", unlock: "□", gap: "?" };

export function actionClass(action) {
  return Object.hasOwn(ACTION_SIGNS, action) ? `is-${action}` : "is-other";
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});
const calendar = new Intl.DateTimeFormat("sv"); // 2026-11-24 in local time

function moment(micros) {
  const date = micros === null ? null : new Date(micros / 1000);
  return date === null || Number.isNaN(date.getTime()) ? null : date;
}

export function timeOf(micros) {
  const date = moment(micros);
  return date === null ? "" : clock.format(date);
}

export function dateAndTime(micros) {
  const date = moment(micros);
  return date === null ? "" : `${calendar.format(date)} ${clock.format(date)}`;
}

export function exactTime(micros) {
  const date = moment(micros);
  if (date === null) return "";
  const rest = ((micros % 1000) + 1000) % 1000;
  return date.toISOString().replace("Z", `${String(rest).padStart(3, "0")}Z`);
}

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString()} ${n === 1 ? one : many}`;
