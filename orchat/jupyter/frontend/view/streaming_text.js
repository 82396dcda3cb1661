/**
 * A run of a model's words. Finished blocks are rendered once and stay; only the tail is rendered anew, at most once a
 * frame, and less often when that takes long.
 *
 * @typedef {import("./view_reducer.js").TextItem} TextItem
 * @typedef {import("../shared/markdown_renderer.js").Render} Render
 */

import { button, element } from "../shared/elements.js";
import { STRINGS } from "./view_messages.js";

const SLICE = 8; // milliseconds of rendering, after which a frame may be painted
const REST = 2; // times as long as a rendering took, the next one waits

/**
 * @param {Render} render
 * @param {() => boolean} toCell Whether code may go to a new cell.
 */
export function createText(render, toCell) {
  const node = element("div", "orchat-text jp-RenderedHTMLCommon jp-RenderedMarkdown");
  /** @type {TextItem} */
  let item = { kind: "text", blocks: [], tail: "" };
  let finished = 0; // blocks that have their element
  let tail = block(false);
  let shown = "";
  let ended = false;
  let busy = false;
  let timer = 0;
  let disposed = false;
  /** @type {string[]} */
  const words = [];

  /** @param {boolean} goesOn */
  function block(goesOn) {
    const made = element("div", goesOn ? "orchat-block orchat-goes-on" : "orchat-block");
    node.append(made);
    return made;
  }

  function finish() {
    while (finished < item.blocks.length) {
      const { md, html = "", goes_on = false } = item.blocks[finished];
      const place = tail; // shows what was last rendered of this block, until it is replaced
      const number = finished++;
      place.classList.toggle("orchat-goes-on", goes_on);
      if (!place.hasChildNodes()) place.append(element("div", "orchat-raw", md)); // to be read until its turn comes
      inTurn(async () => {
        const fragment = await render(md, html, false);
        words[number] = fragment.textContent ?? "";
        place.replaceChildren(fragment);
        decorate(place, toCell());
      });
      tail = block(false);
      shown = "";
    }
    tail.classList.toggle("orchat-goes-on", item.goes_on ?? false);
  }

  async function paint() {
    busy = true;
    const place = tail;
    const md = item.tail;
    const started = performance.now();
    const fragment = await render(md, item.html ?? "", !ended);
    const took = performance.now() - started;
    if (place === tail) {
      place.replaceChildren(fragment);
      shown = md;
      if (ended) decorate(place, toCell());
    }
    busy = false;
    if (item.tail !== shown && !disposed) timer = window.setTimeout(paintSoon, took > 8 ? took * REST : 0);
  }

  function paintSoon() {
    if (!busy && !disposed && item.tail !== shown) void paint();
  }

  return {
    node,
    /** @param {TextItem} next */
    update(next) {
      item = next;
      finish();
      clearTimeout(timer);
      paintSoon();
    },
    /** Nothing more comes: what was the tail is a block like the others. */
    end() {
      if (ended) return;
      ended = true;
      if (!busy) decorate(tail, toCell());
    },
    /** What is to be read, without buttons. */
    words: () => [...words, tail.textContent ?? ""].map((each) => each.trimEnd()).join("\n"),
    dispose() {
      disposed = true;
      clearTimeout(timer);
    },
  };
}

/** @type {(() => Promise<void>)[]} */
const queue = [];
let working = false;

/**
 * Render one block after the other, and let the page breathe between them: many may be finished at once.
 *
 * @param {() => Promise<void>} work
 */
function inTurn(work) {
  queue.push(work);
  if (!working) void workOff();
}

async function workOff() {
  working = true;
  let began = performance.now();
  for (let work = queue.shift(); work; work = queue.shift()) {
    await work().catch(console.error);
    if (performance.now() - began > SLICE) {
      await new Promise((next) => setTimeout(next));
      began = performance.now();
    }
  }
  working = false;
}

/**
 * Give each piece of code its buttons, and let a keyboard scroll it.
 *
 * @param {HTMLElement} place
 * @param {boolean} toCell
 */
function decorate(place, toCell) {
  for (const pre of place.querySelectorAll("pre")) {
    if (pre.parentElement?.classList.contains("orchat-code")) continue;
    pre.tabIndex = 0;
    const bar = element("div", "orchat-code-bar", button(STRINGS.copy, "orchat-copy"));
    if (toCell) bar.append(button(STRINGS.toCell, "orchat-to-cell"));
    const frame = element("div", "orchat-code");
    pre.replaceWith(frame);
    frame.append(pre, bar);
  }
}
