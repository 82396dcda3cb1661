/**
 * The fields of a form. Each holds a value as JSON text, or none; what nobody touched keeps the kernel's own text.
 *
 * @typedef {{name: string, title: string, note: string, required: boolean, nullable: boolean, kind: string,
 *   text: string | null, start: string | null, lines?: boolean, code?: boolean, input?: string, options?: string[],
 *   items?: Field[], item?: Field, fields?: Field[], variants?: Field[], chosen?: number | null}} Field
 * @typedef {{node: HTMLElement, text(): string | null, complain(message: string): void, focus(): void}} Drawn
 * @typedef {Record<string, string>} Strings
 */

import { button, element, setText } from "./elements.js";
import { unseen } from "./form_unseen.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** A page may hold this module twice, once for panels and once for cells: their identifiers must not meet. */
const copy = Math.random().toString(36).slice(2, 8);
let count = 0;
export const newId = () => `orchat-field-${copy}-${++count}`;

/**
 * @param {Field} field
 * @param {Strings} strings
 * @param {() => void} changed
 * @returns {Drawn}
 */
export function drawField(field, strings, changed) {
  const id = newId();
  const inner = drawValue(field, id, strings, changed);
  const given = element("input", "orchat-given");
  given.type = "checkbox";
  given.checked = field.text !== null || field.required;
  const absent = element("input", "orchat-null");
  absent.type = "checkbox";
  absent.checked = field.nullable && field.text === "null";

  const composed = inner.composed;
  const label = element(composed ? "span" : "label", "orchat-label", field.title || strings.item);
  label.id = `${id}-label`;
  if (label instanceof HTMLLabelElement) label.htmlFor = id;
  const head = element("div", "orchat-field-head", label);
  if (field.required && field.name) head.append(element("span", "orchat-required", strings.required));
  if (!field.required) head.append(ticked(given, strings.give, `${strings.give}: ${field.title}`));
  if (field.nullable) head.append(ticked(absent, strings.none, `${strings.none}: ${field.title}`));
  const note = element("div", "orchat-note", field.note);
  note.id = `${id}-note`;
  note.hidden = !field.note;
  const wrong = element("div", "orchat-wrong");
  wrong.id = `${id}-wrong`;
  wrong.hidden = true;
  const node = element("div", "orchat-field", head, inner.node, note, wrong);
  if (composed) {
    node.setAttribute("role", "group");
    node.setAttribute("aria-labelledby", label.id);
  }
  inner.input?.setAttribute("aria-describedby", `${note.id} ${wrong.id}`);
  if (field.required) inner.input?.setAttribute("aria-required", "true");

  const show = () => { inner.node.hidden = (!field.required && !given.checked) || (field.nullable && absent.checked); };
  for (const box of [given, absent]) {
    box.addEventListener("change", () => { show(); changed(); });
  }
  show();
  return {
    node,
    text() {
      if (!field.required && !given.checked) return null;
      return field.nullable && absent.checked ? "null" : inner.text();
    },
    complain(message) {
      wrong.textContent = message;
      wrong.hidden = !message;
      inner.input?.setAttribute("aria-invalid", String(Boolean(message)));
    },
    focus() {
      const first = inner.input ?? node.querySelector("input, textarea, select, button");
      if (first instanceof HTMLElement) first.focus();
    },
  };
}

/**
 * @param {HTMLInputElement} box
 * @param {string} words
 * @param {string} label
 */
function ticked(box, words, label) {
  box.setAttribute("aria-label", label);
  return element("label", "orchat-tick", box, ` ${words}`);
}

/**
 * @param {Field} field
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} changed
 * @returns {{node: HTMLElement, input?: HTMLElement, composed?: boolean, text(): string}}
 */
function drawValue(field, id, strings, changed) {
  const text = field.text ?? field.start;
  switch (field.kind) {
    case "string": return drawString(field, text, id, strings, changed);
    case "number": return drawNumber(text, id, changed);
    case "boolean": return drawBoolean(text, id, changed);
    case "choice": return drawChoice(field, text, id, changed);
    case "list": return drawList(field, strings, changed);
    case "group": return drawGroup(field, strings, changed);
    case "variant": return drawVariant(field, id, strings, changed);
    default: return drawJson(text, id, strings, changed);
  }
}

/**
 * @template {HTMLElement} T
 * @param {T} input
 * @param {string} id
 * @param {() => void} changed
 * @returns {() => boolean} Whether a person changed it.
 */
function watched(input, id, changed) {
  let touched = false;
  input.id = id;
  for (const event of ["input", "change"]) {
    input.addEventListener(event, () => { touched = true; changed(); });
  }
  return () => touched;
}

/**
 * A text to be typed, and below it what of it cannot be seen.
 *
 * @param {string} value
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} changed
 * @param {{lines?: boolean, code?: boolean, type?: string, most: number}} kind
 */
export function drawText(value, id, strings, changed, { lines, code, type, most }) {
  const input = lines ? element("textarea", code ? "orchat-code-input" : "") : element("input");
  if (input instanceof HTMLTextAreaElement) input.rows = Math.min(most, Math.max(2, value.split("\n").length + 1));
  // A browser's fields for addresses take away what they do not like: only their keyboards are wanted.
  else if (type === "email" || type === "url") input.inputMode = type;
  else input.type = type ?? "text";
  input.autocomplete = "off";
  input.spellcheck = !code;
  input.value = value;
  const warning = element("div", "orchat-unseen");
  const look = () => {
    const found = unseen(input.value);
    warning.hidden = !found.length;
    setText(warning, found.length ? `${strings.unseen} ${found.slice(0, 20).join(", ")}` : "");
  };
  input.addEventListener("input", look);
  look();
  const touched = watched(input, id, changed);
  return { node: element("div", "", input, warning), input, touched };
}

/**
 * @param {Field} field
 * @param {string | null} text
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} changed
 */
function drawString(field, text, id, strings, changed) {
  const value = text === null ? "" : String(JSON.parse(text));
  const kind = { lines: field.lines, code: field.code, type: field.input, most: 14 };
  const { node, input, touched } = drawText(value, id, strings, changed, kind);
  return { node, input, text: () => (touched() || text === null ? JSON.stringify(input.value) : text) };
}

/** @param {string | null} text @param {string} id @param {() => void} changed */
function drawNumber(text, id, changed) {
  const input = element("input");
  input.inputMode = "decimal";
  input.autocomplete = "off";
  input.value = text ?? "";
  const touched = watched(input, id, changed);
  // As it was typed: a page would round what is large. What is no number is sent as text, and refused by its field.
  const typed = () => (NUMBER.test(input.value.trim()) ? input.value.trim() : JSON.stringify(input.value.trim()));
  return { node: input, input, text: () => (touched() || text === null ? typed() : text) };
}

/** @param {string | null} text @param {string} id @param {() => void} changed */
function drawBoolean(text, id, changed) {
  const input = element("input", "orchat-yes");
  input.type = "checkbox";
  input.checked = text === "true";
  watched(input, id, changed);
  return { node: input, input, text: () => String(input.checked) };
}

/** @param {Field} field @param {string | null} text @param {string} id @param {() => void} changed */
function drawChoice(field, text, id, changed) {
  const input = element("select");
  const options = field.options ?? [];
  for (const option of options) {
    const shown = JSON.parse(option);
    const made = element("option", "", typeof shown === "string" ? shown : option);
    made.value = option;
    input.append(made);
  }
  input.value = text !== null && options.includes(text) ? text : options[0] ?? "";
  watched(input, id, changed);
  return { node: input, input, text: () => input.value };
}

/** @param {string | null} text @param {string} id @param {Strings} strings @param {() => void} changed */
function drawJson(text, id, strings, changed) {
  const { node, input, touched } = drawText(text ?? "", id, strings, changed, { lines: true, code: true, most: 10 });
  return { node, input, text: () => (touched() || text === null ? input.value.trim() || "null" : text) };
}

/** @param {Field} field @param {Strings} strings @param {() => void} changed */
function drawGroup(field, strings, changed) {
  const fields = (field.fields ?? []).map((each) => ({ name: each.name, ...drawField(each, strings, changed) }));
  return { node: element("div", "orchat-group", ...fields.map((each) => each.node)), composed: true,
    text: () => objectText(fields) };
}

/** @param {Field} field @param {Strings} strings @param {() => void} changed */
function drawList(field, strings, changed) {
  const rows = element("div", "orchat-rows");
  /** @type {{drawn: Drawn, row: HTMLElement}[]} */
  const items = [];
  const place = () => rows.replaceChildren(...items.map((each) => each.row));

  /** @param {Field} described */
  function add(described) {
    const drawn = drawField({ ...described, title: described.title || strings.item }, strings, changed);
    const here = () => items.findIndex((each) => each.drawn === drawn);
    const up = button("↑", "orchat-up", () => {
      const at = here();
      if (at > 0) { items.splice(at - 1, 0, ...items.splice(at, 1)); place(); up.focus(); changed(); }
    });
    up.setAttribute("aria-label", strings.up);
    const remove = button("×", "orchat-remove", () => { items.splice(here(), 1); place(); more.focus(); changed(); });
    remove.setAttribute("aria-label", strings.remove);
    items.push({ drawn, row: element("div", "orchat-item", drawn.node, up, remove) });
  }

  const more = button(strings.add, "orchat-add", () => {
    if (field.item) add({ ...field.item, text: null });
    place();
    items[items.length - 1]?.drawn.focus();
    changed();
  });
  for (const each of field.items ?? []) add(each);
  place();
  return { node: element("div", "orchat-list", rows, more), composed: true,
    text: () => `[${items.map((each) => each.drawn.text() ?? "null").join(", ")}]` };
}

/** @param {Field} field @param {string} id @param {Strings} strings @param {() => void} changed */
function drawVariant(field, id, strings, changed) {
  const variants = field.variants ?? [];
  const pick = element("select");
  pick.id = id;
  pick.setAttribute("aria-label", `${strings.variant}: ${field.title}`);
  variants.forEach((each, at) => {
    const option = element("option", "", each.title);
    option.value = String(at);
    pick.append(option);
  });
  pick.value = String(field.chosen ?? 0);
  const drawn = variants.map((each) => drawField({ ...each, name: "", required: true }, strings, changed));
  const show = () => drawn.forEach((each, at) => { each.node.hidden = String(at) !== pick.value; });
  pick.addEventListener("change", () => { show(); changed(); });
  show();
  return { node: element("div", "orchat-variant", pick, ...drawn.map((each) => each.node)), composed: true,
    text: () => drawn[Number(pick.value)]?.text() ?? "null" };
}

/** @param {{name: string, text(): string | null}[]} fields */
export function objectText(fields) {
  const given = fields.map((each) => ({ name: each.name, text: each.text() })).filter((each) => each.text !== null);
  return `{${given.map((each) => `${JSON.stringify(each.name)}: ${each.text}`).join(", ")}}`;
}
