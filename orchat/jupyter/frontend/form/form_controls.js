/**
 * The input controls of single values in a form: texts, numbers, booleans, choices, JSON.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {import("./form_fields.js").Strings} Strings
 * @typedef {{node: HTMLElement, input?: HTMLElement, composed?: boolean, text(): string, problem?(): string,
 *   showProblem?(): void, update(next: Field, text: string | null): boolean}} Control ``update`` is false where other
 *   controls are needed; ``problem`` says why what was typed is no value of this kind.
 */

import { element, setText } from "../shared/elements.js";
import { invisibleCharacters } from "./invisible_characters.js";
import { readNumber } from "./number_text.js";

const CHARACTERS_A_ROW = 90;

/** A page may load this module twice, once for panels and once for cells: their element ids must differ. */
const moduleId = Math.random().toString(36).slice(2, 8);
let count = 0;
export const newId = () => `orchat-field-${moduleId}-${++count}`;

/**
 * @template {HTMLElement} T
 * @param {T} input
 * @param {string} id
 * @param {() => void} onChange
 * @returns {{touched: boolean}} Whether a person edited the input.
 */
function watchChanges(input, id, onChange) {
  const watch = { touched: false };
  input.id = id;
  for (const event of ["input", "change"]) {
    input.addEventListener(event, () => { watch.touched = true; onChange(); });
  }
  return watch;
}

/**
 * Replace an input's text, keeping selection and scroll position; an input scrolled to its end stays there.
 *
 * @param {HTMLInputElement | HTMLTextAreaElement} input
 * @param {string} value
 */
function replaceValue(input, value) {
  const last = input.value;
  if (last === value) return;
  const isAtEnd = input.scrollHeight - input.scrollTop - input.clientHeight < 4;
  if (value.startsWith(last) && input.type.startsWith("text")) {
    input.setRangeText(value.slice(last.length), last.length, last.length, "preserve");
  } else input.value = value;
  if (isAtEnd) input.scrollTop = input.scrollHeight;
}

/**
 * Draw a text input, with a warning about invisible characters below it.
 *
 * @param {string} value
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} onChange
 * @param {{lines?: boolean, code?: boolean, type?: string, most: number}} kind
 */
export function drawText(value, id, strings, onChange, { lines, code, type, most }) {
  const input = lines ? element("textarea", code ? "orchat-code-input" : "") : element("input");
  const fitRows = () => {
    if (input instanceof HTMLTextAreaElement) {
      const rowsOf = (/** @type {string} */ line) => (code ? 1 : Math.ceil(line.length / CHARACTERS_A_ROW) || 1);
      const needed = input.value.split("\n", most).reduce((sum, line) => sum + rowsOf(line), 0);
      input.rows = Math.min(most, code || needed > 1 ? needed + 1 : 1);
    }
  };
  // A browser's address inputs remove characters they reject: only their keyboards are wanted.
  if (type === "email" || type === "url") input.inputMode = type;
  else if (input instanceof HTMLInputElement) input.type = type ?? "text";
  input.autocomplete = "off";
  input.spellcheck = !code;
  if (!code) input.dir = "auto";
  input.value = value;
  fitRows();
  const warning = element("div", "orchat-invisible-characters");
  const warnInvisible = () => {
    const found = invisibleCharacters(input.value);
    warning.hidden = !found.length;
    setText(warning, found.length ? `${strings.unseen} ${found.slice(0, 20).join(", ")}` : "");
  };
  input.addEventListener("input", () => { fitRows(); warnInvisible(); });
  warnInvisible();
  const watch = watchChanges(input, id, onChange);
  return {
    node: element("div", "", input, warning),
    input,
    watch,
    /** @param {string} next */
    show(next) {
      watch.touched = false;
      replaceValue(input, next);
      fitRows();
      warnInvisible();
    },
  };
}

/**
 * @param {Field} field
 * @param {string | null} text
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} onChange
 * @returns {Control}
 */
export function drawString(field, text, id, strings, onChange) {
  const decodedText = () => (text === null ? "" : String(JSON.parse(text)));
  const kind = { lines: field.lines, code: field.code, type: field.input, most: 14 };
  const { node, input, watch, show } = drawText(decodedText(), id, strings, onChange, kind);
  return {
    node,
    input,
    text: () => (watch.touched || text === null ? JSON.stringify(input.value) : text),
    update(next, given) {
      if (next.lines !== field.lines || next.code !== field.code || next.input !== field.input) return false;
      text = given;
      show(decodedText());
      return true;
    },
  };
}

/**
 * @param {string | null} text
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} onChange
 * @returns {Control}
 */
export function drawNumber(text, id, strings, onChange) {
  const input = element("input");
  input.inputMode = "decimal";
  input.autocomplete = "off";
  input.value = text ?? "";
  const watch = watchChanges(input, id, onChange);
  const isGiven = () => !watch.touched && text !== null;
  return {
    node: input,
    input,
    text: () => (isGiven() ? String(text) : readNumber(input.value, strings).text),
    problem: () => (isGiven() ? "" : readNumber(input.value, strings).problem),
    update(_, given) {
      watch.touched = false;
      text = given;
      replaceValue(input, text ?? "");
      return true;
    },
  };
}

/** @param {string | null} text @param {string} id @param {() => void} onChange @returns {Control} */
export function drawBoolean(text, id, onChange) {
  const input = element("input", "orchat-boolean");
  input.type = "checkbox";
  input.checked = text === "true";
  watchChanges(input, id, onChange);
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

/**
 * @param {Field} field
 * @param {string | null} text
 * @param {string} id
 * @param {() => void} onChange
 * @returns {Control}
 */
export function drawChoice(field, text, id, onChange) {
  const input = element("select");
  const options = field.options ?? [];
  for (const option of options) {
    const value = JSON.parse(option);
    const node = element("option", "", typeof value === "string" ? value : option);
    node.value = option;
    input.append(node);
  }
  /** @param {string | null} given */
  const choose = (given) => { input.value = given !== null && options.includes(given) ? given : options[0] ?? ""; };
  choose(text);
  watchChanges(input, id, onChange);
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
 * @param {() => void} onChange
 * @returns {Control}
 */
export function drawJson(text, id, strings, onChange) {
  const kind = { lines: true, code: true, most: 10 };
  const { node, input, watch, show } = drawText(text ?? "", id, strings, onChange, kind);
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
