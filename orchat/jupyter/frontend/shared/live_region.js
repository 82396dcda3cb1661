/**
 * A polite live region that announces texts to screen readers, in batches and each once.
 */

import { element } from "./elements.js";

const BATCH_INTERVAL = 500; // milliseconds
const MAX_ENTRIES = 4;

export function createLiveRegion() {
  const node = element("div", "orchat-live-region");
  node.setAttribute("role", "log");
  node.setAttribute("aria-live", "polite");
  /** @type {string[]} */
  let pending = [];
  let timer = 0;

  function flush() {
    timer = 0;
    node.append(element("p", "", pending.join(" ")));
    pending = [];
    while (node.childElementCount > MAX_ENTRIES) node.firstElementChild?.remove();
  }

  return {
    node,
    /** @param {string} words */
    announce(words) {
      if (!words.trim()) return;
      pending.push(words.trim());
      timer ||= window.setTimeout(flush, BATCH_INTERVAL);
    },
    dispose: () => clearTimeout(timer),
  };
}
