/**
 * The live view of one turn: an anywidget with its state from `channel.js`, drawn by `turn.js`.
 */

import { guardShortcuts } from "../shared/shortcut_guard.js";
import { connectChannel } from "../shared/channel.js";
import { findRendermime } from "../shared/markdown_renderer.js";
import { reduceEvents } from "./view_reducer.js";
import { addStyles } from "../shared/stylesheet.js";
import { createTurn } from "./turn.js";

/**
 * @param {{model: any, el: HTMLElement, css: string}} context
 */
export async function render({ model, el, css }) {
  addStyles(el, css);
  const forms = await import("../form/form.js").catch(() => null); // without forms, calls are shown but not asked about
  const rendermime = findRendermime(model);
  /** @param {object} message */
  const send = (message) => model.send(message);
  const turn = createTurn({ rendermime, send, forms });
  el.append(turn.node);
  guardShortcuts(turn.node);
  const format = rendermime ? "markdown" : "html";
  const channel = connectChannel(model, { render: format, reduce: reduceEvents, onState: turn.update });
  return () => {
    channel.dispose();
    turn.dispose();
  };
}
