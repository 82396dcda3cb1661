/**
 * Buttons below the card of an error, for what may help: the cell again, another model, a key. What they do is fixed
 * here; a saved output, which is untrusted, only says which of them are shown.
 */

import { RUN_EVENT } from "./cell_runner.js";
import { canDo, doWithCode } from "./code_events.js";

const LOAD = "%load_ext orchat\n";
/** @type {[string, string, (node: HTMLElement) => void][]} */
const ACTIONS = [
  ["retry", "Retry", (node) => {
    node.dispatchEvent(new CustomEvent(RUN_EVENT, { bubbles: true, cancelable: true, detail: { isProbe: false } }));
  }],
  ["model", "Choose a model", (node) => doWithCode(node, "insert", `${LOAD}%openrouter models`)],
  ["key", "Set key", (node) => doWithCode(node, "insert", `${LOAD}%openrouter key set`)],
];

/**
 * @param {unknown} wanted The names of the actions.
 * @returns {HTMLElement | null} The buttons; null where there are none, or where the page cannot do it.
 */
export function createErrorActions(wanted) {
  const shown = ACTIONS.filter(([name]) => Array.isArray(wanted) && wanted.includes(name));
  if (!shown.length || !canDo("insert")) return null;
  const node = document.createElement("div");
  node.className = "orchat-error-actions";
  for (const [name, label, act] of shown) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = `orchat-button orchat-outlined orchat-${name}-action`;
    button.textContent = label;
    button.addEventListener("click", () => act(node));
    node.append(button);
  }
  return node;
}
