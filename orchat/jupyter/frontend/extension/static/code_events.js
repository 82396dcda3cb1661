/**
 * The events by which a view, whose modules come from its kernel, asks the page's extension (`code_actions.js`) to make
 * a cell of code.
 */

export const CODE_EVENT = "orchat:code";

/** @typedef {"insert" | "replace"} Verb */

/**
 * @param {Verb} verb
 * @returns {boolean} Whether this page can do that with code.
 */
export function canDo(verb) {
  return !document.dispatchEvent(new CustomEvent(CODE_EVENT, { cancelable: true, detail: { verb, isProbe: true } }));
}

/**
 * @param {HTMLElement} node Where the code stands.
 * @param {Verb} verb
 * @param {string} code
 * @param {unknown} [fixes] The execution numbers of the cells of which the code corrects one.
 */
export function doWithCode(node, verb, code, fixes) {
  node.dispatchEvent(new CustomEvent(CODE_EVENT, { bubbles: true, cancelable: true, detail: { verb, code, fixes } }));
}

/**
 * @param {unknown} fixes As of `doWithCode`.
 * @returns {string} What the button says that replaces a cell.
 */
export function replaceLabel(fixes) {
  return Array.isArray(fixes) && fixes.length ? "Replace the failing cell …" : "Replace the selected cell …";
}
