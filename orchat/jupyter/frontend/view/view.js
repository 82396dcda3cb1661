/**
 * The live view of one turn: an anywidget with its state from `channel.js`, drawn by `turn.js`.
 */

import { guardShortcuts } from "../shared/shortcut_guard.js";
import { connectChannel } from "../shared/channel.js";
import { createKernelNotice, watchKernel } from "../shared/kernel_watch.js";
import { findRendermime } from "../shared/markdown_renderer.js";
import { reduceEvents } from "./view_reducer.js";
import { element } from "../shared/elements.js";
import { addStyles } from "../shared/stylesheet.js";
import { createTurn } from "./turn.js";
import { STRINGS } from "./view_strings.js";

const GONE_DELAY = 300; // milliseconds after which what has lost its view still stands in its notebook

/** By which the extension (`live_transcript.js`) asks for what has arrived, and is told that the view is closed. */
const [TRANSCRIPT_EVENT, CLOSE_EVENT] = ["orchat:transcript", "orchat:view-closed"];

/**
 * @param {import("./view_reducer.js").State | null} state
 * @returns {string} The answer's Markdown, below a note: its end may be an open block of code. Without text nothing.
 */
function writeTranscript(state) {
  const texts = (state?.items ?? []).flatMap((item) => {
    return item.kind === "text" ? [...item.blocks.map(({ md }) => md.trimEnd()), item.tail.trimEnd()] : [];
  }).filter(Boolean);
  return texts.length ? [STRINGS.unfinished, ...texts].join("\n\n") : "";
}

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
  const findPlace = () => ({ cell: el.closest(".jp-Cell"), output: el.closest(".jp-OutputArea-output") });
  let place = findPlace();
  const format = rendermime ? "markdown" : "html";
  /** @type {import("./view_reducer.js").State | null} */
  let state = null;
  /** @param {import("./view_reducer.js").State} next */
  const onState = (next) => {
    state = next;
    if (!place.cell) place = findPlace();
    turn.update(next);
  };
  turn.node.addEventListener(TRANSCRIPT_EVENT, (event) => {
    /** @type {CustomEvent} */ (event).detail.text = writeTranscript(state);
  });
  const onMessage = (/** @type {any} */ { t }) => t === "here?" && send({ t: "here" });
  const channel = connectChannel(model, { send, render: format, reduce: reduceEvents, onState, onMessage });
  const kernel = watchKernel(model, (loss) => {
    turn.setLoss(loss);
    notice.update(loss);
    if (!loss) channel.refresh();
  });
  return () => {
    kernel.dispose();
    channel.dispose();
    turn.dispose();
    turn.node.dispatchEvent(new CustomEvent(CLOSE_EVENT));
    setTimeout(() => {
      // The outputs of a cell that stays without any were cleared: a notebook that is closed and a cell that is moved
      // take them along, and a plain update of a slow page stands in the view's place.
      if (place.cell?.isConnected && !place.cell.querySelector(".jp-OutputArea-child")) send({ t: "gone" });
      // At its end an output gets the answer; that of a copied cell does not, and would be blank.
      if (place.output?.isConnected && !place.output.textContent?.trim()) {
        place.output.append(element("p", "orchat-note", STRINGS.copy));
      }
    }, GONE_DELAY);
  };
}
