// The change and the path as the fragment of the page's address, #seq=41&path=/users/0, and back.
//
// A fragment may come from anybody. It is compared with what the log has, and shown as text; nothing else is done with it.

import { Dict, List, identity, keyText, pointerOf } from "./values.js";

const NUMBER = /^\d{1,16}$/;

// seq=41, with process=7 if several wrote the log; change=3 is the position of one whose seq does not identify it.
export function fragmentOf(log, at, root = -1, keys = []) {
  const seq = log.seq[at], pid = log.pid(at);
  let text = `change=${at + 1}`;
  if (at >= 0 && seq !== null && positionOf(log, seq, log.isMixed ? pid : null) === at) {
    text = `seq=${seq}${log.isMixed && pid !== null ? `&process=${pid}` : ""}`;
  }
  if (root < 0 || (!keys.length && !log.label(root))) return text;
  const path = (log.label(root) + pointerOf(keys)).replace(/[\ud800-\udfff]/gu, "\ufffd"); // half a character cannot be encoded
  return `${text}&path=${encodeURIComponent(path).replaceAll("%2F", "/")}`;
}

function positionOf(log, seq, pid) {
  for (let at = log.seq.indexOf(seq); at >= 0; at = log.seq.indexOf(seq, at + 1)) {
    if (pid === null || log.pid(at) === pid) return at;
  }
  return -1;
}

// { at, root, steps, trouble }: at is null if no change is named, steps if no path is.
export function parseFragment(log, fragment) {
  const found = { at: null, root: 0, steps: null, trouble: "" }, given = new Map();
  for (const part of fragment.replace(/^#/, "").split("&")) {
    if (part === "") continue;
    const [name, value] = [part.split("=", 1)[0], part.slice(part.indexOf("=") + 1)];
    try {
      given.set(name, decodeURIComponent(value));
    } catch { // %zz
      found.trouble = `The address has an invalid % in ${name}.`;
    }
  }
  const numbers = ["seq", "change", "process"].filter((name) => given.has(name));
  const wrong = numbers.find((name) => !NUMBER.test(given.get(name)));
  if (wrong) found.trouble = `${wrong}=${given.get(wrong).slice(0, 40)} in the address is not a number.`;
  else if (given.has("seq")) {
    const at = positionOf(log, Number(given.get("seq")), given.has("process") ? Number(given.get("process")) : null);
    if (at < 0) found.trouble = `The log has no change with seq ${given.get("seq")}${given.has("process") ? ` of process ${given.get("process")}` : ""}.`;
    else found.at = at;
  } else if (given.has("change")) {
    if (Number(given.get("change")) > log.size) found.trouble = `The log has ${log.size} changes, not ${given.get("change")}.`;
    else found.at = Number(given.get("change")) - 1;
  }
  if (given.has("path")) {
    const [, label, pointer] = /^#?(\d{0,9})([^]*)$/.exec(given.get("path"));
    if (pointer !== "" && pointer[0] !== "/") found.trouble ||= "A path in the address begins with / .";
    else {
      found.root = label === "" ? 0 : Number(label) - 1;
      found.steps = pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    }
  }
  return found;
}

// The keys of a container that the steps of a pointer lead to, as far as they do.
export function keysOf(container, steps) {
  const keys = [];
  for (const step of steps) {
    let key, value;
    if (container instanceof List) {
      key = NUMBER.test(step) && String(Number(step)) === step && Number(step) < container.size ? Number(step) : undefined;
      value = container.items[key];
    } else if (container instanceof Dict) {
      const entry = container.map.get(identity(step)) ?? [...container.map.values()].find((each) => keyText(each.key) === step);
      [key, value] = [entry?.key, entry?.value];
    }
    if (key === undefined) break;
    keys.push(key);
    container = value;
  }
  return keys;
}
