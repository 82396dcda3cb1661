/**
 * The live view of one turn: an anywidget with its state from `channel.js`, drawn by `turn.js`.
 */

import { guardShortcuts } from "../shared/shortcut_guard.js";
import { connectChannel } from "../shared/channel.js";
import { createKernelNotice, watchKernel } from "../shared/kernel_watch.js";
import { findRendermime } from "../shared/markdown_renderer.js";
import { reduceEvents } from "./view_reducer.js";
import { addStyles } from "../shared/stylesheet.js";
import { createTurn } from "./turn.js";

/**
 * @param {{model: any, el: HTMLElement, css: string, send: import("../shared/loader.js").Send}} context
 */
export async function render({ model, el, css, send }) {
  addStyles(el, css);
  const forms = await import("../form/form.js").catch(() => null); // without forms, calls are shown but not asked about
  const rendermime = findRendermime(model);
  const turn = createTurn({ rendermime, send, forms });
  const notice = createKernelNotice();
  turn.node.append(notice.node);
  el.append(turn.node);
  guardShortcuts(turn.node);
  const format = rendermime ? "markdown" : "html";
  const channel = connectChannel(model, { send, render: format, reduce: reduceEvents, onState: turn.update });
  const kernel = watchKernel(model, (loss) => {
    turn.setLoss(loss);
    notice.update(loss);
    if (!loss) channel.refresh();
  });
  return () => {
    kernel.dispose();
    channel.dispose();
    turn.dispose();
  };
}
