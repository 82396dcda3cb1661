/**
 * Watch a widget's kernel, and say in the page when it is gone: nobody answers a view of an earlier run any more. A
 * connection that is lost may come back.
 *
 * @typedef {{text: string, isFinal: boolean}} KernelLoss
 */

import { button, element, setText } from "./elements.js";

/** The event that asks the extension of the front end (`cell_runner.js`) to run the cell around its target. */
const RUN_EVENT = "orchat:run-cell";
const STRINGS = {
  restarted: "The kernel has restarted: what ran here has ended. What you typed is kept.",
  died: "The kernel has ended: what ran here has ended, too. What you typed is kept.",
  disconnected: "The connection to the kernel is lost. It is tried again …",
  run: "Run this cell",
  runByHand: "Run this cell again to go on.",
};
/** @type {Record<string, string>} */
const FINAL_STATUSES = {
  restarting: STRINGS.restarted, autorestarting: STRINGS.restarted, terminating: STRINGS.died, dead: STRINGS.died,
};

/**
 * @param {any} model A widget's model, or anywidget's proxy of it.
 * @param {(loss: KernelLoss | null) => void} onChange Called with null when a lost connection is back.
 * @returns {{dispose(): void}}
 */
export function watchKernel(model, onChange) {
  const kernel = model?.widget_manager?.kernel; // front ends without access to it show no loss
  /** @type {KernelLoss | null} */
  let loss = null;
  /** @param {KernelLoss | null} next */
  const setLoss = (next) => {
    if (loss?.isFinal || loss?.text === next?.text) return;
    loss = next;
    onChange(next);
  };
  const onStatus = (/** @type {any} */ _, /** @type {string} */ status) => {
    if (Object.hasOwn(FINAL_STATUSES, status)) setLoss({ text: FINAL_STATUSES[status], isFinal: true });
  };
  const onConnection = (/** @type {any} */ _, /** @type {string} */ status) => {
    setLoss(status === "connected" ? null : { text: STRINGS.disconnected, isFinal: false });
  };
  const onDisposed = () => setLoss({ text: STRINGS.died, isFinal: true });
  kernel?.statusChanged?.connect(onStatus);
  kernel?.connectionStatusChanged?.connect(onConnection);
  kernel?.disposed?.connect(onDisposed);
  return {
    dispose() {
      kernel?.statusChanged?.disconnect(onStatus);
      kernel?.connectionStatusChanged?.disconnect(onConnection);
      kernel?.disposed?.disconnect(onDisposed);
    },
  };
}

/** A notice of what happened to the kernel, with a button that runs the cell where the front end's extension can. */
export function createKernelNotice() {
  const text = element("span", "orchat-kernel-text");
  const run = button(STRINGS.run, "orchat-run-cell orchat-outlined", () => dispatchRun(node, false));
  const node = element("div", "orchat-kernel-notice", text, run);
  node.setAttribute("role", "alert");
  node.hidden = true;
  return {
    node,
    /** @param {KernelLoss | null} loss */
    update(loss) {
      node.hidden = loss === null;
      if (!loss) return;
      const canRun = loss.isFinal && dispatchRun(node, true);
      run.hidden = !canRun;
      setText(text, loss.isFinal && !canRun ? `${loss.text} ${STRINGS.runByHand}` : loss.text);
    },
  };
}

/**
 * @param {HTMLElement} node
 * @param {boolean} isProbe Whether to ask only if it can be done.
 * @returns {boolean} Whether an extension of the front end takes it on.
 */
function dispatchRun(node, isProbe) {
  return !node.dispatchEvent(new CustomEvent(RUN_EVENT, { bubbles: true, cancelable: true, detail: { isProbe } }));
}
