/**
 * The fields of an object: those with a value, and those that could be given folded below them.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {import("./form_fields.js").FieldView} FieldView
 * @typedef {import("./form_fields.js").Strings} Strings
 * @typedef {{name: string, before: string | null, isShown: boolean, view: FieldView}} Entry
 */

import { element, setText } from "../shared/elements.js";

const MOST_NAMES = 8;

/**
 * @param {Field[]} described
 * @param {Strings} strings
 * @param {(field: Field, drawn?: FieldView) => FieldView} draw Draw a field, or update one that is drawn.
 */
export function createFieldList(described, strings, draw) {
  /** @type {Entry[]} */
  let entries = [];
  const shown = element("div", "orchat-field-list");
  const summary = element("summary");
  const folded = element("div", "orchat-field-list");
  const fold = element("details", "orchat-fold", summary, folded);
  const node = element("div", "orchat-field-list", shown, fold);

  /** @param {Field[]} next */
  function update(next) {
    const before = new Map(entries.map((each) => [each.name, each.view]));
    entries = next.map((field) => {
      const view = draw(field, before.get(field.name));
      before.delete(field.name);
      return { name: field.name, before: field.text, isShown: field.required || field.text !== null, view };
    });
    for (const view of before.values()) view.node.remove();
    place(shown, entries.filter((each) => each.isShown));
    place(folded, entries.filter((each) => !each.isShown));
    const names = entries.filter((each) => !each.isShown).map((each) => each.name);
    fold.hidden = !names.length;
    const more = names.length > MOST_NAMES ? strings.others.replace("{count}", String(names.length - MOST_NAMES)) : "";
    setText(summary, [strings.notGiven, names.slice(0, MOST_NAMES).join(", "), more].filter(Boolean).join(" "));
  }

  update(described);
  return {
    node,
    update,
    get entries() {
      return entries;
    },
    /** @param {Node} note */
    addNote: (note) => folded.after(note),
    text: () => objectText(entries),
    showProblem: () => entries.forEach((each) => each.view.showProblem()),
    problem: () => entries.map((each) => each.view.problem()).find(Boolean) ?? "",
  };
}

/**
 * Put fields into their order, moving no more of them than needed: what moves loses its focus.
 *
 * @param {HTMLElement} container
 * @param {Entry[]} entries
 */
function place(container, entries) {
  entries.forEach(({ view }, at) => {
    if (container.children[at] !== view.node) container.insertBefore(view.node, container.children[at] ?? null);
  });
}

/** @param {Entry[]} entries */
function objectText(entries) {
  const given = entries.map(({ name, view }) => ({ name, text: view.text() })).filter((each) => each.text !== null);
  return `{${given.map((each) => `${JSON.stringify(each.name)}: ${each.text}`).join(", ")}}`;
}
