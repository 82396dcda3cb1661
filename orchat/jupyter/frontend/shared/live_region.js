/**
 * What a screen reader is told: batched, politely, and not again what it has been told.
 */

import { element } from "./elements.js";

const BATCH = 500; // milliseconds
const KEPT = 4;

export function createLog() {
  const node = element("div", "orchat-log");
  node.setAttribute("role", "log");
  node.setAttribute("aria-live", "polite");
  /** @type {string[]} */
  let waiting = [];
  let timer = 0;

  function flush() {
    timer = 0;
    node.append(element("p", "", waiting.join(" ")));
    waiting = [];
    while (node.childElementCount > KEPT) node.firstElementChild?.remove();
  }

  return {
    node,
    /** @param {string} words */
    say(words) {
      if (!words.trim()) return;
      waiting.push(words.trim());
      timer ||= window.setTimeout(flush, BATCH);
    },
    dispose: () => clearTimeout(timer),
  };
}
