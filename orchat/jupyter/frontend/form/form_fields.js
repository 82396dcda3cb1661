/**
 * The fields of a form, each with label, checkboxes, note and error around its control. A field holds its value as JSON
 * text, or none; untouched ones keep the kernel's text. A field is updated in place as long as its controls fit, so
 * that the page does not jump.
 *
 * @typedef {{name: string, title: string, note: string, required: boolean, nullable: boolean, kind: string,
 *   text: string | null, start: string | null, lines?: boolean, code?: boolean, input?: string, options?: string[],
 *   awaited?: boolean, items?: Field[], item?: Field, fields?: Field[], variants?: Field[],
 *   chosen?: number | null}} Field
 * @typedef {{node: HTMLElement, text(): string | null, problem(): string, showProblem(): void,
 *   update(next: Field): boolean, setError(message: string): void, focus(): void}} FieldView ``update`` is false, and
 *   changes nothing that matters, where other controls are needed; ``problem`` says why it has no value of its kind.
 * @typedef {import("./form_controls.js").Control} Control
 * @typedef {Record<string, string>} Strings
 */

import { button, element, setText } from "../shared/elements.js";
import { createFieldList } from "./object_fields.js";
import { drawBoolean, drawChoice, drawJson, drawNumber, drawString, newId } from "./form_controls.js";

/**
 * @param {Field} field
 * @param {Strings} strings
 * @param {() => void} onChange
 * @returns {FieldView}
 */
export function drawField(field, strings, onChange) {
  const id = newId();
  let wasChanged = false;
  let kernelError = "";
  const onInput = () => { wasChanged = true; showError(); onChange(); };
  const control = drawValue(field, id, strings, onInput);
  const providedBox = element("input", "orchat-provided");
  providedBox.type = "checkbox";
  const nullBox = element("input", "orchat-null");
  nullBox.type = "checkbox";

  const isComposed = control.composed;
  const label = element(isComposed ? "span" : "label", "orchat-label", field.title || strings.item);
  label.id = `${id}-label`;
  if (label instanceof HTMLLabelElement) label.htmlFor = id;
  const head = element("div", "orchat-field-head", label);
  if (field.required && field.name) head.append(element("span", "orchat-required", strings.required));
  if (!field.required) head.append(checkboxLabel(providedBox, strings.give, `${strings.give}: ${field.title}`));
  if (field.nullable) head.append(checkboxLabel(nullBox, strings.none, `${strings.none}: ${field.title}`));
  const note = element("div", "orchat-note", field.note);
  note.id = `${id}-note`;
  note.hidden = !field.note;
  const errorNode = element("div", "orchat-field-error");
  errorNode.id = `${id}-wrong`;
  errorNode.hidden = true;
  const node = element("div", "orchat-field", head, control.node, note, errorNode);
  if (isComposed) {
    node.setAttribute("role", "group");
    node.setAttribute("aria-labelledby", label.id);
  }
  control.input?.setAttribute("aria-describedby", `${note.id} ${errorNode.id}`);
  if (field.required) control.input?.setAttribute("aria-required", "true");

  const updateVisibility = () => {
    control.node.hidden = (!field.required && !providedBox.checked) || (field.nullable && nullBox.checked);
  };
  const updateBoxes = () => {
    node.classList.toggle("orchat-incomplete", Boolean(field.awaited));
    providedBox.checked = field.text !== null || field.required;
    nullBox.checked = field.nullable && field.text === "null";
    updateVisibility();
  };
  for (const box of [providedBox, nullBox]) {
    box.addEventListener("change", () => { updateVisibility(); onInput(); });
  }
  updateBoxes();
  const isGiven = () => (field.required || providedBox.checked) && !(field.nullable && nullBox.checked);
  const problem = () => (isGiven() && control.problem ? control.problem() : "");
  function showError() {
    const own = wasChanged ? problem() : "";
    const message = own && isComposed ? "" : own || kernelError; // an inner field shows its own
    setText(errorNode, message);
    errorNode.hidden = !message;
    control.input?.setAttribute("aria-invalid", String(Boolean(message)));
  }
  return {
    node,
    update(next) {
      if (next.kind !== field.kind || next.name !== field.name) return false;
      if (!control.update(next, shownText(next))) return false;
      field = next;
      wasChanged = false;
      updateBoxes();
      return true;
    },
    text() {
      if (!field.required && !providedBox.checked) return null;
      return field.nullable && nullBox.checked ? "null" : control.text();
    },
    problem,
    showProblem() {
      wasChanged = true;
      control.showProblem?.();
      showError();
    },
    setError(message) {
      kernelError = message;
      showError();
    },
    focus() {
      const first = node.querySelector("[aria-invalid='true']") ?? control.input
        ?? node.querySelector("input, textarea, select, button");
      if (first instanceof HTMLElement) first.focus();
    },
  };
}

/**
 * Update a field in place, else replace it.
 *
 * @param {FieldView} drawn
 * @param {Field} field
 * @param {Strings} strings
 * @param {() => void} onChange
 * @returns {FieldView}
 */
function redrawField(drawn, field, strings, onChange) {
  if (drawn.update(field)) return drawn;
  const focused = drawn.node.contains(document.activeElement);
  const replacement = drawField(field, strings, onChange);
  drawn.node.replaceWith(replacement.node);
  if (focused) replacement.focus();
  return replacement;
}

/**
 * @param {HTMLInputElement} box
 * @param {string} words
 * @param {string} label
 */
function checkboxLabel(box, words, label) {
  box.setAttribute("aria-label", label);
  return element("label", "orchat-checkbox-label", box, ` ${words}`);
}

/**
 * @param {Field} field
 * @returns {string | null} The text to begin with: the value, else the default. A null is shown by its box.
 */
const shownText = ({ text, start, nullable }) => (text === null || (nullable && text === "null") ? start : text);

/**
 * @param {Field} field
 * @param {string} id
 * @param {Strings} strings
 * @param {() => void} onChange
 * @returns {Control}
 */
function drawValue(field, id, strings, onChange) {
  const text = shownText(field);
  switch (field.kind) {
    case "string": return drawString(field, text, id, strings, onChange);
    case "number": return drawNumber(text, id, strings, onChange);
    case "boolean": return drawBoolean(text, id, onChange);
    case "choice": return drawChoice(field, text, id, onChange);
    case "list": return drawList(field, strings, onChange);
    case "group": return drawGroup(field, strings, onChange);
    case "variant": return drawVariant(field, id, strings, onChange);
    default: return drawJson(text, id, strings, onChange);
  }
}

/** @param {Field[]} fields @param {Strings} strings @param {() => void} onChange */
export function drawFieldList(fields, strings, onChange) {
  return createFieldList(fields, strings, (field, drawn) =>
    drawn ? redrawField(drawn, field, strings, onChange) : drawField(field, strings, onChange));
}

/** @param {Field} field @param {Strings} strings @param {() => void} onChange @returns {Control} */
function drawGroup(field, strings, onChange) {
  const list = drawFieldList(field.fields ?? [], strings, onChange);
  list.node.classList.add("orchat-group");
  return {
    node: list.node,
    composed: true,
    text: list.text,
    problem: list.problem,
    showProblem: list.showProblem,
    update(next) {
      list.update(next.fields ?? []);
      return true;
    },
  };
}

/**
 * Update a list of fields one by one, adding and removing fields as needed.
 *
 * @param {FieldView[]} drawn
 * @param {Field[]} fields
 * @param {Strings} strings
 * @param {() => void} onChange
 * @param {(made: FieldView) => void} place
 */
function redrawAll(drawn, fields, strings, onChange, place) {
  while (drawn.length > fields.length) drawn.pop()?.node.remove();
  fields.forEach((each, at) => {
    if (at < drawn.length) drawn[at] = redrawField(drawn[at], each, strings, onChange);
    else {
      drawn.push(drawField(each, strings, onChange));
      place(drawn[at]);
    }
  });
}

/** @param {Field} field @param {Strings} strings @param {() => void} onChange @returns {Control} */
function drawList(field, strings, onChange) {
  const rows = element("div", "orchat-list-items");
  /** @type {{drawn: FieldView, row: HTMLElement}[]} */
  const items = [];
  const placeRows = () => rows.replaceChildren(...items.map((each) => each.row));

  /** @param {Field} described */
  function add(described) {
    const drawn = drawField(withTitle(described, strings), strings, onChange);
    const item = { drawn, row: element("div", "orchat-list-item") };
    const up = button("↑", "orchat-move-up", () => {
      const at = items.indexOf(item);
      if (at > 0) { items.splice(at - 1, 0, ...items.splice(at, 1)); placeRows(); up.focus(); onChange(); }
    });
    up.setAttribute("aria-label", strings.up);
    const remove = button("×", "orchat-remove", () => {
      items.splice(items.indexOf(item), 1);
      placeRows();
      addButton.focus();
      onChange();
    });
    remove.setAttribute("aria-label", strings.remove);
    item.row.append(item.drawn.node, up, remove);
    items.push(item);
    rows.append(item.row);
  }

  const addButton = button(strings.add, "orchat-add", () => {
    if (field.item) add({ ...field.item, text: null });
    items[items.length - 1]?.drawn.focus();
    onChange();
  });
  for (const each of field.items ?? []) add(each);
  return {
    node: element("div", "orchat-list", rows, addButton),
    composed: true,
    text: () => `[${items.map((each) => each.drawn.text() ?? "null").join(", ")}]`,
    problem: () => items.map((each) => each.drawn.problem()).find(Boolean) ?? "",
    showProblem: () => items.forEach((each) => each.drawn.showProblem()),
    update(next) {
      field = next;
      const wantedItems = next.items ?? [];
      while (items.length > wantedItems.length) items.pop()?.row.remove();
      wantedItems.forEach((each, at) => {
        if (at >= items.length) add(each);
        else items[at].drawn = redrawField(items[at].drawn, withTitle(each, strings), strings, onChange);
      });
      return true;
    },
  };
}

/** @param {Field} item @param {Strings} strings */
const withTitle = (item, strings) => ({ ...item, title: item.title || strings.item });

/** @param {Field} field @param {string} id @param {Strings} strings @param {() => void} onChange @returns {Control} */
function drawVariant(field, id, strings, onChange) {
  const variantSelect = element("select");
  variantSelect.id = id;
  variantSelect.setAttribute("aria-label", `${strings.variant}: ${field.title}`);
  (field.variants ?? []).forEach((each, at) => {
    const option = element("option", "", each.title);
    option.value = String(at);
    variantSelect.append(option);
  });
  const node = element("div", "orchat-variant", variantSelect);
  /** @type {FieldView[]} */
  const drawn = [];
  const show = () => drawn.forEach((each, at) => { each.node.hidden = String(at) !== variantSelect.value; });
  /** @param {Field} described */
  const showVariant = ({ variants = [], chosen }) => {
    const requiredVariants = variants.map((each) => ({ ...each, name: "", required: true }));
    redrawAll(drawn, requiredVariants, strings, onChange, (made) => node.append(made.node));
    variantSelect.value = String(chosen ?? 0);
    show();
  };
  showVariant(field);
  variantSelect.addEventListener("change", () => { show(); onChange(); });
  return {
    node,
    composed: true,
    text: () => drawn[Number(variantSelect.value)]?.text() ?? "null",
    problem: () => drawn[Number(variantSelect.value)]?.problem() ?? "",
    showProblem: () => drawn[Number(variantSelect.value)]?.showProblem(),
    update(next) {
      if (next.variants?.length !== field.variants?.length) return false;
      showVariant(next);
      return true;
    },
  };
}
