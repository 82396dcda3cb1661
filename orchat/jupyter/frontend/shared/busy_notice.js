/**
 * Says that a click waits for the running cell, where the kernel hears clicks only between cells (ipykernel 6, and front
 * ends without subshells), and what to do.
 */

import { element, setText } from "./elements.js";

const DELAY = 500; // milliseconds for an answer of the kernel
const STRINGS = {
  stop: "The kernel hears this when the running cell has ended. To stop at once, interrupt the kernel (■): that ends the cell, and then this.",
  ask: "The kernel hears this when the running cell has ended.",
};
/** What follows when the kernel has heard a message: whether a turn runs then. @type {Record<string, boolean>} */
const RUNS_AFTER = { stop: false, send: true, again: true };

/**
 * @param {any} model A widget's model, or anywidget's proxy of it.
 * @param {import("./loader.js").Send} send
 */
export function createBusyNotice(model, send) {
  const kernel = model?.widget_manager?.kernel; // front ends without access to it show nothing
  const node = element("div", "orchat-busy-notice");
  node.setAttribute("role", "status");
  node.hidden = true;
  /** @type {string | null} */
  let unheard = null;
  let timer = 0;
  const clear = () => {
    clearTimeout(timer);
    unheard = null;
    node.hidden = true;
  };
  const onStatus = (/** @type {any} */ _, /** @type {string} */ status) => {
    if (status !== "busy") clear();
  };
  kernel?.statusChanged?.connect(onStatus);
  return {
    node,
    /** @param {{t: string}} message One that was sent now. */
    watch({ t }) {
      if (!Object.hasOwn(RUNS_AFTER, t) || !kernel) return;
      clear();
      unheard = t;
      timer = window.setTimeout(() => {
        if (kernel.status !== "busy" || send.isHeardAlways()) return;
        setText(node, t === "stop" ? STRINGS.stop : STRINGS.ask);
        node.hidden = false;
      }, DELAY);
    },
    /** @param {boolean} isRunning Whether a turn runs, as the kernel says. */
    update(isRunning) {
      if (unheard && RUNS_AFTER[unheard] === isRunning) clear();
    },
    dispose() {
      clear();
      kernel?.statusChanged?.disconnect(onStatus);
    },
  };
}
