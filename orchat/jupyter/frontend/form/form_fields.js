/**
 * The fields of a form. Each holds a value as JSON text, or none; what nobody touched keeps the kernel's own text. A
 * field takes another description in place, as long as its controls fit: what a person reads must not jump.
 *
 * @typedef {{name: string, title: string, note: string, required: boolean, nullable: boolean, kind: string,
 *   text: string | null, start: string | null, lines?: boolean, code?: boolean, input?: string, options?: string[],
 *   awaited?: boolean, items?: Field[], item?: Field, fields?: Field[], variants?: Field[],
 *   chosen?: number | null}} Field
 * @typedef {{node: HTMLElement, text(): string | null, update(next: Field): boolean, complain(message: string): void,
 *   focus(): void}} Drawn ``update`` is false, and changes nothing that matters, where other controls are needed.
 * @typedef {import("./form_controls.js").Value} Value
 * @typedef {Record<string, string>} Strings
 */

import { button, element } from "../shared/elements.js";
import { drawBoolean, drawChoice, drawJson, drawNumber, drawString, newId } from "./form_controls.js";

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
  const absent = element("input", "orchat-null");
  absent.type = "checkbox";

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
  const tick = () => {
    node.classList.toggle("orchat-awaited", Boolean(field.awaited));
    given.checked = field.text !== null || field.required;
    absent.checked = field.nullable && field.text === "null";
    show();
  };
  for (const box of [given, absent]) {
    box.addEventListener("change", () => { show(); changed(); });
  }
  tick();
  return {
    node,
    update(next) {
      if (next.kind !== field.kind || next.name !== field.name) return false;
      if (!inner.update(next, next.text ?? next.start)) return false;
      field = next;
      tick();
      return true;
    },
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
 * Bring a field up to date: in place, else by a new one in its place.
 *
 * @param {Drawn} drawn
 * @param {Field} field
 * @param {Strings} strings
 * @param {() => void} changed
 * @returns {Drawn}
 */
export function redrawn(drawn, field, strings, changed) {
  if (drawn.update(field)) return drawn;
  const focused = drawn.node.contains(document.activeElement);
  const made = drawField(field, strings, changed);
  drawn.node.replaceWith(made.node);
  if (focused) made.focus();
  return made;
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
 * @returns {Value}
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

/** @param {Field} field @param {Strings} strings @param {() => void} changed @returns {Value} */
function drawGroup(field, strings, changed) {
  const drawn = (field.fields ?? []).map((each) => drawField(each, strings, changed));
  let names = (field.fields ?? []).map((each) => each.name);
  const node = element("div", "orchat-group", ...drawn.map((each) => each.node));
  return {
    node,
    composed: true,
    text: () => objectText(drawn.map((each, at) => ({ name: names[at], text: each.text }))),
    update(next) {
      redrawAll(drawn, next.fields ?? [], strings, changed, (made) => node.append(made.node));
      names = (next.fields ?? []).map((each) => each.name);
      return true;
    },
  };
}

/**
 * Bring fields up to date one by one; more are added, and what is too much goes.
 *
 * @param {Drawn[]} drawn
 * @param {Field[]} fields
 * @param {Strings} strings
 * @param {() => void} changed
 * @param {(made: Drawn) => void} place
 */
export function redrawAll(drawn, fields, strings, changed, place) {
  while (drawn.length > fields.length) drawn.pop()?.node.remove();
  fields.forEach((each, at) => {
    if (at < drawn.length) drawn[at] = redrawn(drawn[at], each, strings, changed);
    else {
      drawn.push(drawField(each, strings, changed));
      place(drawn[at]);
    }
  });
}

/** @param {Field} field @param {Strings} strings @param {() => void} changed @returns {Value} */
function drawList(field, strings, changed) {
  const rows = element("div", "orchat-rows");
  /** @type {{drawn: Drawn, row: HTMLElement}[]} */
  const items = [];
  const place = () => rows.replaceChildren(...items.map((each) => each.row));

  /** @param {Field} described */
  function add(described) {
    const drawn = drawField(titled(described, strings), strings, changed);
    const item = { drawn, row: element("div", "orchat-item") };
    const up = button("↑", "orchat-up", () => {
      const at = items.indexOf(item);
      if (at > 0) { items.splice(at - 1, 0, ...items.splice(at, 1)); place(); up.focus(); changed(); }
    });
    up.setAttribute("aria-label", strings.up);
    const remove = button("×", "orchat-remove", () => {
      items.splice(items.indexOf(item), 1);
      place();
      more.focus();
      changed();
    });
    remove.setAttribute("aria-label", strings.remove);
    item.row.append(item.drawn.node, up, remove);
    items.push(item);
    rows.append(item.row);
  }

  const more = button(strings.add, "orchat-add", () => {
    if (field.item) add({ ...field.item, text: null });
    items[items.length - 1]?.drawn.focus();
    changed();
  });
  for (const each of field.items ?? []) add(each);
  return {
    node: element("div", "orchat-list", rows, more),
    composed: true,
    text: () => `[${items.map((each) => each.drawn.text() ?? "null").join(", ")}]`,
    update(next) {
      field = next;
      const wanted = next.items ?? [];
      while (items.length > wanted.length) items.pop()?.row.remove();
      wanted.forEach((each, at) => {
        if (at >= items.length) add(each);
        else items[at].drawn = redrawn(items[at].drawn, titled(each, strings), strings, changed);
      });
      return true;
    },
  };
}

/** @param {Field} item @param {Strings} strings */
const titled = (item, strings) => ({ ...item, title: item.title || strings.item });

/** @param {Field} field @param {string} id @param {Strings} strings @param {() => void} changed @returns {Value} */
function drawVariant(field, id, strings, changed) {
  const pick = element("select");
  pick.id = id;
  pick.setAttribute("aria-label", `${strings.variant}: ${field.title}`);
  (field.variants ?? []).forEach((each, at) => {
    const option = element("option", "", each.title);
    option.value = String(at);
    pick.append(option);
  });
  const node = element("div", "orchat-variant", pick);
  /** @type {Drawn[]} */
  const drawn = [];
  const show = () => drawn.forEach((each, at) => { each.node.hidden = String(at) !== pick.value; });
  /** @param {Field} described */
  const choose = ({ variants = [], chosen }) => {
    const whole = variants.map((each) => ({ ...each, name: "", required: true }));
    redrawAll(drawn, whole, strings, changed, (made) => node.append(made.node));
    pick.value = String(chosen ?? 0);
    show();
  };
  choose(field);
  pick.addEventListener("change", () => { show(); changed(); });
  return {
    node,
    composed: true,
    text: () => drawn[Number(pick.value)]?.text() ?? "null",
    update(next) {
      if (next.variants?.length !== field.variants?.length) return false;
      choose(next);
      return true;
    },
  };
}

/** @param {{name: string, text(): string | null}[]} fields */
export function objectText(fields) {
  const given = fields.map((each) => ({ name: each.name, text: each.text() })).filter((each) => each.text !== null);
  return `{${given.map((each) => `${JSON.stringify(each.name)}: ${each.text}`).join(", ")}}`;
}
