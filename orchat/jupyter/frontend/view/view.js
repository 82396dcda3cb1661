/**
 * The live view of one turn: an anywidget whose state comes through `link.js` and is drawn by `turn.js`.
 */

import { keepKeys } from "../shared/shortcut_guard.js";
import { connect } from "../shared/channel.js";
import { rendermimeOf } from "../shared/markdown_renderer.js";
import { reduce } from "./view_reducer.js";
import { addStyles } from "../shared/stylesheet.js";
import { createTurn } from "./turn.js";

/**
 * @param {{model: any, el: HTMLElement, css: string}} context
 */
export async function render({ model, el, css }) {
  addStyles(el, css);
  const forms = await import("../form/form.js").catch(() => null); // without them calls are shown, and nobody is asked
  const rendermime = rendermimeOf(model);
  /** @param {object} message */
  const send = (message) => model.send(message);
  const turn = createTurn({ rendermime, send, forms });
  el.append(turn.node);
  keepKeys(turn.node);
  const link = connect(model, { render: rendermime ? "markdown" : "html", reduce, changed: turn.update });
  return () => {
    link.dispose();
    turn.dispose();
  };
}
