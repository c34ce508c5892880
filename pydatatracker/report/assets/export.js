// The selected changes as a file: lines of a log, a JSON Patch, or what undoes them: a JSON Patch or a Python program.

import { preview } from "./values.js";
import { byId, element, plural } from "./dom.js";
import { indented, jsonOf, lineOf } from "./lines.js";
import { Refusal, patchOf, undoOf } from "./operations.js";

const FORMS = { jsonl: "application/jsonl", patch: "application/json-patch+json", undo: "application/json-patch+json", python: "text/x-python" };
const ENDINGS = { jsonl: "jsonl", patch: "patch.json", undo: "undo.json", python: "undo.py" };
const SHOWN_TEXT = 2_000; // characters of the result

const quoted = (text) => (/^[\w./=:,@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

// The command that prints the same, "" if its options cannot express the selection.
export function commandOf(log, form, filters, mine, root) {
  if (filters.text || filters.span?.includes("#") || log.unlisted.size || !log.size) return "";
  const file = log.name.includes(", ") || !log.name.endsWith("l") ? "LOG" : quoted(log.name), options = [];
  for (const [option, value] of [["--path", filters.glob], ["--actor", filters.actor?.slice(1)], ["--action", filters.action]]) {
    if (value !== undefined && (value !== "" || (option === "--actor" && filters.actor))) options.push(option, quoted(value));
  }
  if (form !== "jsonl" && log.roots.length > 1) options.push("--root", `'#${root + 1}'`);
  if (form === "patch" && !mine.length) return "";
  const seqs = form === "patch" ? [log.seq[mine[0]] - 1, log.seq[mine[mine.length - 1]]] : [];
  if (form === "patch") return ["pydatatracker patch", ...options, file, `${Math.max(0, seqs[0])}..${seqs[1]}`].join(" ");
  if (filters.span) options.push("--seq", quoted(filters.span));
  if (form === "python") options.push("--format", "python");
  return [form === "jsonl" ? "pydatatracker show --json" : "pydatatracker undo-script", ...options, file].join(" ");
}

// The program of `undo-script --format python`, from its template.
function programOf(program, log, root, selected, operations) {
  const count = selected.filter((at) => log.action(at) !== "init" && log.views(at).some(([number]) => number === root)).length;
  const what = `${count.toLocaleString("en-US")} change${count === 1 ? "" : "s"} of ${log.name}`.replace(/[^\p{L}\p{N} ,.:/\-_']/gu, "?");
  const parts = { what, operations: indented(`[${operations.map(jsonOf).join(",")}]`) };
  return program.replace(/\{(what|operations)\}/g, (_, name) => parts[name]);
}

// { text, notes, command } of the selected changes in a form. The text is "" if it cannot be made.
// program: the template of a Python program.
export function exported(log, world, form, selected, filters, program = "") {
  const roots = [...new Set(selected.flatMap((at) => log.views(at).map(([root]) => root)))].filter((root) => root >= 0);
  const root = roots[0] ?? 0, notes = [], command = commandOf(log, form, filters, selected, root);
  if (form === "jsonl") {
    return { text: selected.map((at) => `${lineOf(log, at)}\n`).join(""), notes, command };
  }
  try {
    if (roots.length > 1) throw new Refusal("The changes are of several containers: a patch is of one.");
    const made = (form === "patch" ? patchOf : undoOf)(log, world, root, selected);
    const withheld = made.filter(({ value }) => value !== undefined && jsonOf(value).includes('{"$redacted":true}')).length;
    if (withheld) notes.push(`${plural(withheld, "value")} withheld in the log ${withheld === 1 ? "is" : "are"} withheld here, too.`);
    if (form === "python") return { text: programOf(program, log, root, selected, made), notes, command };
    const rows = made.map((operation) => `  ${jsonOf(operation)}`);
    return { text: rows.length ? `[\n${rows.join(",\n")}\n]\n` : "[]\n", notes, command };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { text: "", notes: [error.message, command ? "The command says what can be done about that." : "No command expresses this selection either."], command };
  }
}

export class Export {
  // selection(): [changes, filters].
  constructor(log, world, selection) {
    Object.assign(this, { log, world, selection, program: byId("undo-script").content.textContent });
    byId("export-form").addEventListener("input", () => this.draw());
    byId("export-save").addEventListener("click", () => this.save());
  }

  open() {
    this.draw();
    byId("export").showModal();
  }

  get form() { return document.querySelector("#export-form input:checked").value; }

  draw() {
    const [selected, filters] = this.selection();
    this.made = exported(this.log, this.world, this.form, selected, filters, this.program);
    const { text, notes, command } = this.made;
    byId("export-what").textContent = `${plural(selected.length, "change")}, as the filters select them.`;
    byId("export-notes").replaceChildren(...notes.map((note) => element("li", "", note)));
    byId("export-command").textContent = command ? preview(command, 2000).slice(1, -1).replaceAll('\\"', '"').replaceAll("\\\\", "\\") : "";
    byId("export-same").hidden = !command;
    byId("export-text").textContent = text.length > SHOWN_TEXT ? `${text.slice(0, SHOWN_TEXT)}…` : text;
    byId("export-save").disabled = text === "";
  }

  save() {
    const link = element("a"), name = this.log.name.replace(/\.[^]*$/, "").replace(/[^\w-]+/g, "-") || "changes";
    link.href = URL.createObjectURL(new Blob([this.made.text], { type: FORMS[this.form] }));
    link.download = `${name}.${ENDINGS[this.form]}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}
