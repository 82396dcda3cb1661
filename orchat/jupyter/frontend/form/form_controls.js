/**
 * The controls of single values in a form: texts, numbers, choices, JSON.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {import("./form_fields.js").Strings} Strings
 * @typedef {{node: HTMLElement, input?: HTMLElement, composed?: boolean, text(): string,
 *   update(next: Field, text: string | null): boolean}} Value ``update`` is false where other controls are needed.
 */

import { element, setText } from "../shared/elements.js";
import { unseen } from "./invisible_characters.js";

const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** A page may hold this module twice, once for panels and once for cells: their identifiers must not meet. */
const copy = Math.random().toString(36).slice(2, 8);
let count = 0;
export const newId = () => `orchat-field-${copy}-${++count}`;

/**
 * @template {HTMLElement} T
 * @param {T} input
 * @param {string} id
 * @param {() => void} changed
 * @returns {{touched: boolean}} Whether a person changed it.
 */
function watched(input, id, changed) {
  const watch = { touched: false };
  input.id = id;
  for (const event of ["input", "change"]) {
    input.addEventListener(event, () => { watch.touched = true; changed(); });
  }
  return watch;
}

/**
 * Put another text into a field, and leave selection and scroll position as they are; who looks at the end goes on to.
 *
 * @param {HTMLInputElement | HTMLTextAreaElement} input
 * @param {string} value
 */
function setValue(input, value) {
  const last = input.value;
  if (last === value) return;
  const follows = input.scrollHeight - input.scrollTop - input.clientHeight < 4;
  if (value.startsWith(last) && input.type.startsWith("text")) {
    input.setRangeText(value.slice(last.length), last.length, last.length, "preserve");
  } else input.value = value;
  if (follows) input.scrollTop = input.scrollHeight;
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
  const grow = () => {
    if (input instanceof HTMLTextAreaElement) {
      input.rows = Math.min(most, Math.max(2, input.value.split("\n", most).length + 1));
    }
  };
  // A browser's fields for addresses take away what they do not like: only their keyboards are wanted.
  if (type === "email" || type === "url") input.inputMode = type;
  else if (input instanceof HTMLInputElement) input.type = type ?? "text";
  input.autocomplete = "off";
  input.spellcheck = !code;
  input.value = value;
  grow();
  const warning = element("div", "orchat-unseen");
  const look = () => {
    const found = unseen(input.value);
    warning.hidden = !found.length;
    setText(warning, found.length ? `${strings.unseen} ${found.slice(0, 20).join(", ")}` : "");
  };
  input.addEventListener("input", look);
  look();
  const watch = watched(input, id, changed);
  return {
    node: element("div", "", input, warning),
    input,
    watch,
    /** @param {string} next */
    show(next) {
      watch.touched = false;
      setValue(input, next);
      grow();
      look();
    },
  };
}

/**
 * @param {Field} field
 * @param {string | null} text
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} changed
 * @returns {Value}
 */
export function drawString(field, text, id, strings, changed) {
  const words = () => (text === null ? "" : String(JSON.parse(text)));
  const kind = { lines: field.lines, code: field.code, type: field.input, most: 14 };
  const { node, input, watch, show } = drawText(words(), id, strings, changed, kind);
  return {
    node,
    input,
    text: () => (watch.touched || text === null ? JSON.stringify(input.value) : text),
    update(next, given) {
      if (next.lines !== field.lines || next.code !== field.code || next.input !== field.input) return false;
      text = given;
      show(words());
      return true;
    },
  };
}

/** @param {string | null} text @param {string} id @param {() => void} changed @returns {Value} */
export function drawNumber(text, id, changed) {
  const input = element("input");
  input.inputMode = "decimal";
  input.autocomplete = "off";
  input.value = text ?? "";
  const watch = watched(input, id, changed);
  // As it was typed: a page would round what is large. What is no number is sent as text, and refused by its field.
  const typed = () => (NUMBER.test(input.value.trim()) ? input.value.trim() : JSON.stringify(input.value.trim()));
  return {
    node: input,
    input,
    text: () => (watch.touched || text === null ? typed() : text),
    update(_, given) {
      watch.touched = false;
      text = given;
      setValue(input, text ?? "");
      return true;
    },
  };
}

/** @param {string | null} text @param {string} id @param {() => void} changed @returns {Value} */
export function drawBoolean(text, id, changed) {
  const input = element("input", "orchat-yes");
  input.type = "checkbox";
  input.checked = text === "true";
  watched(input, id, changed);
  return {
    node: input,
    input,
    text: () => String(input.checked),
    update(_, given) {
      input.checked = given === "true";
      return true;
    },
  };
}

/** @param {Field} field @param {string | null} text @param {string} id @param {() => void} changed @returns {Value} */
export function drawChoice(field, text, id, changed) {
  const input = element("select");
  const options = field.options ?? [];
  for (const option of options) {
    const shown = JSON.parse(option);
    const made = element("option", "", typeof shown === "string" ? shown : option);
    made.value = option;
    input.append(made);
  }
  /** @param {string | null} given */
  const choose = (given) => { input.value = given !== null && options.includes(given) ? given : options[0] ?? ""; };
  choose(text);
  watched(input, id, changed);
  return {
    node: input,
    input,
    text: () => input.value,
    update(next, given) {
      if (String(next.options) !== String(options)) return false;
      choose(given);
      return true;
    },
  };
}

/**
 * @param {string | null} text
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} changed
 * @returns {Value}
 */
export function drawJson(text, id, strings, changed) {
  const kind = { lines: true, code: true, most: 10 };
  const { node, input, watch, show } = drawText(text ?? "", id, strings, changed, kind);
  return {
    node,
    input,
    text: () => (watch.touched || text === null ? input.value.trim() || "null" : text),
    update(_, given) {
      text = given;
      show(text ?? "");
      return true;
    },
  };
}
