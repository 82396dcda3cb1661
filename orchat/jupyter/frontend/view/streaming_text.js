/**
 * The view of streaming text. Finished Markdown blocks are rendered once; only the tail is rendered anew, at most once
 * a frame, and less often when that takes long.
 *
 * @typedef {import("./view_reducer.js").TextItem} TextItem
 * @typedef {import("../shared/markdown_renderer.js").Render} Render
 */

import { frameCode } from "../extension/static/code_block.js";
import { element } from "../shared/elements.js";

const TIME_SLICE = 8; // milliseconds of rendering, after which the page may paint a frame
const BACKOFF_FACTOR = 2; // the pause after a rendering, in multiples of its duration
const GROUP_SIZE = 50; // blocks; the page skips a whole group that nobody sees, and does not visit each of its blocks
const NEAR_GROUPS = 2; // at the end of an answer, which are never skipped

/**
 * @param {Render} render
 * @param {() => import("../extension/static/code_block.js").Actions} codeActions What can be done with code.
 */
export function createStreamingText(render, codeActions) {
  const node = element("div", "orchat-text jp-RenderedHTMLCommon jp-RenderedMarkdown");
  /** @type {TextItem} */
  let item = { kind: "text", blocks: [], tail: "" };
  let finishedCount = 0; // blocks that have their element
  let group = addGroup();
  let tail = addBlock();
  let renderedTail = "";
  let isEnded = false;
  let isRendering = false;
  let timer = 0;
  let disposed = false;
  /** @type {string[]} */
  const blockTexts = [];

  function addBlock() {
    if (group.childElementCount >= GROUP_SIZE) group = addGroup();
    const made = element("div", "orchat-block");
    group.append(made);
    return made;
  }

  function addGroup() {
    const made = element("div", "orchat-block-group");
    node.append(made);
    node.children[node.childElementCount - 1 - NEAR_GROUPS]?.classList.add("orchat-distant");
    return made;
  }

  function renderFinishedBlocks() {
    while (finishedCount < item.blocks.length) {
      const { md, html = "" } = item.blocks[finishedCount];
      const target = tail; // shows what was last rendered of this block, until it is replaced
      const number = finishedCount++;
      // The Markdown source is shown until the block is rendered.
      if (!target.hasChildNodes()) target.append(element("div", "orchat-block-source", md));
      enqueueRender(async () => {
        const fragment = await render(md, html, false);
        blockTexts[number] = fragment.textContent ?? "";
        target.replaceChildren(fragment);
        frameCode(target, codeActions());
      });
      target.classList.toggle("orchat-list-goes-on", (item.blocks[finishedCount] ?? item).goes_on ?? false);
      tail = addBlock();
      renderedTail = "";
    }
  }

  async function renderTail() {
    isRendering = true;
    const place = tail;
    const md = item.tail;
    const started = performance.now();
    const fragment = await render(md, item.html ?? "", !isEnded);
    const took = performance.now() - started;
    if (place === tail) {
      place.replaceChildren(fragment);
      renderedTail = md;
      if (isEnded) frameCode(place, codeActions());
    }
    isRendering = false;
    const pause = took > 8 ? took * BACKOFF_FACTOR : 0;
    if (item.tail !== renderedTail && !disposed) timer = window.setTimeout(scheduleTail, pause);
  }

  function scheduleTail() {
    if (!isRendering && !disposed && item.tail !== renderedTail) void renderTail();
  }

  return {
    node,
    /** @param {TextItem} next */
    update(next) {
      item = next;
      renderFinishedBlocks();
      clearTimeout(timer);
      scheduleTail();
    },
    /** Treat the tail as a finished block. */
    end() {
      if (isEnded) return;
      isEnded = true;
      if (!isRendering) frameCode(tail, codeActions());
    },
    /** The text without buttons. */
    plainText: () => [...blockTexts, tail.textContent ?? ""].map((each) => each.trimEnd()).join("\n"),
    dispose() {
      disposed = true;
      clearTimeout(timer);
    },
  };
}

/** @type {(() => Promise<void>)[]} */
const queue = [];
let isDraining = false;

/**
 * Queue a block's rendering, and yield to the page between blocks: many may be finished at once.
 *
 * @param {() => Promise<void>} work
 */
function enqueueRender(work) {
  queue.push(work);
  if (!isDraining) void drainQueue();
}

async function drainQueue() {
  isDraining = true;
  let sliceStart = performance.now();
  for (let work = queue.shift(); work; work = queue.shift()) {
    await work().catch(console.error);
    if (performance.now() - sliceStart > TIME_SLICE) {
      await new Promise((next) => setTimeout(next));
      sliceStart = performance.now();
    }
  }
  isDraining = false;
}
