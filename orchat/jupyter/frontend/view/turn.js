/**
 * The view of one turn: `createTurn` returns an element that follows a state of `view_reducer.js`. The live view of a
 * cell shows one of these, a panel one for each turn.
 *
 * @typedef {import("./view_reducer.js").State} State
 * @typedef {import("./view_reducer.js").Item} Item
 * @typedef {import("../shared/kernel_watch.js").KernelLoss} KernelLoss
 * @typedef {{node: HTMLElement, update(item: any): void, end?(): void, plainText?(): string,
 *   setLoss?(loss: KernelLoss | null): void, dispose(): void}} ItemView
 */

import { createDetails } from "../extension/static/answer_details.js";
import { canDo, doWithCode, replaceLabel } from "../extension/static/code_events.js";
import { icon } from "../extension/static/icons.js";
import { createLiveRegion } from "../shared/live_region.js";
import { createToolCall } from "./tool_call.js";
import { button, element, setText } from "../shared/elements.js";
import { loadImage, createMarkdownRenderer, parseWebUrl } from "../shared/markdown_renderer.js";
import { createImage, createReasoning } from "./reasoning_images.js";
import { STRINGS } from "./view_strings.js";
import { createStreamingText } from "./streaming_text.js";

/**
 * @param {{rendermime: import("../shared/markdown_renderer.js").Rendermime | null, send: (message: object) => void,
 *   forms: import("./tool_call.js").Forms | null, liveRegion?: {announce(words: string): void}}} options Without
 *   ``liveRegion`` the turn has its own.
 */
export function createTurn({ rendermime, send, forms, liveRegion }) {
  const status = element("span", "orchat-status");
  const stop = button(STRINGS.stop, "orchat-stop orchat-outlined", () => {
    send({ t: "stop" });
    stop.disabled = true;
    setText(stopLabel, STRINGS.stopping);
  });
  const stopLabel = element("span", "", STRINGS.stop);
  stop.replaceChildren(icon("stop"), stopLabel);
  const bar = element("div", "orchat-bar", status, stop);
  const list = element("div", "orchat-items");
  const sources = element("p", "orchat-sources");
  const footerText = element("summary");
  const footer = element("details", "orchat-footer orchat-line", footerText);
  footer.hidden = true;
  const measuring = element("div", "orchat-measuring");
  measuring.setAttribute("aria-hidden", "true");
  const node = element("section", "orchat-turn", list, sources, bar, footer, measuring);
  node.setAttribute("aria-label", STRINGS.answer);
  const ownLiveRegion = liveRegion ? null : createLiveRegion();
  if (ownLiveRegion) node.append(ownLiveRegion.node);
  const announce = (liveRegion ?? /** @type {{announce(words: string): void}} */ (ownLiveRegion)).announce;

  const render = createMarkdownRenderer(rendermime, measuring);
  /** @type {{part: ItemView, item: Item, announced: number}[]} */
  const itemViews = [];
  /** @type {State | null} */
  let state = null;
  let startedAt = 0;
  let pausedAt = 0; // since when it waits for a person; 0: it does not
  let frame = 0;
  /** @type {KernelLoss | null} */
  let loss = null;

  /**
   * @param {Item} item
   * @param {number} i
   * @returns {ItemView}
   */
  function createItemView(item, i) {
    if (item.kind === "text") return createStreamingText(render, codeActions);
    if (item.kind === "reasoning") return createReasoning();
    if (item.kind === "picture") return createImage();
    return createToolCall((message) => send({ ...message, i }), announce, forms, render);
  }

  /** What can be done with code here: another cell is replaced where the front end's extension does it. */
  const codeActions = () => ({
    announce,
    insert: state?.cell ? (/** @type {string} */ code) => send({ t: "cell", code }) : undefined,
    replace: canDo("replace")
      ? (/** @type {string} */ code) => doWithCode(node, "replace", code, state?.fixes) : undefined,
    replaceLabel: replaceLabel(state?.fixes),
  });

  function draw() {
    frame = 0;
    if (!state) return;
    state.items.forEach((item, i) => {
      const last = itemViews[i];
      if (last?.item === item) return;
      if (!last || last.item.kind !== item.kind) {
        last?.part.dispose();
        const part = createItemView(item, i);
        if (last) last.part.node.replaceWith(part.node);
        else list.append(part.node);
        itemViews[i] = { part, item, announced: 0 };
        part.setLoss?.(loss);
      }
      itemViews[i].item = item;
      itemViews[i].part.update(item);
    });
    while (itemViews.length > state.items.length) {
      const { part } = /** @type {{part: ItemView}} */ (itemViews.pop());
      part.dispose();
      part.node.remove();
    }
    drawSources();
    setText(footerText, state.footer);
    footer.hidden = !state.footer;
    if (state.details && footer.childElementCount === 1) footer.append(createDetails(state.details) ?? "");
    const isEnded = state.phase === "ended";
    bar.hidden = isEnded || loss !== null;
    stop.hidden = !state.stop;
    node.setAttribute("aria-busy", String(!isEnded && !loss));
    if (isEnded) for (const { part } of itemViews) part.end?.();
    drawStatus();
  }

  function drawSources() {
    if (!state || sources.childElementCount === state.sources.length) return;
    sources.replaceChildren(`${STRINGS.sources}: `);
    state.sources.forEach(({ url, title }, i) => {
      const address = parseWebUrl(url);
      if (!address) return;
      const link = element("a", "", title);
      link.href = address.href;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      sources.append(i ? ", " : "", link);
    });
  }

  function drawStatus() {
    if (!state || loss) return;
    const now = performance.now();
    const isAsking = state.items.some((item) => item.kind === "call" && item.status === "asking");
    if (isAsking) pausedAt ||= now; // a person's thinking is not the model's time
    else if (pausedAt) {
      startedAt += now - pausedAt;
      pausedAt = 0;
    }
    const seconds = Math.floor((now - startedAt) / 1000);
    const clock = seconds >= 1 ? ` ${seconds}${STRINGS.seconds}` : "";
    const isWaiting = state.phase === "waiting";
    if (isAsking) setText(status, STRINGS.waitsForYou);
    else if (state.retry) setText(status, state.retry);
    else setText(status, isWaiting ? `${STRINGS.waiting} ${state.label} …${clock}` : `${state.label}${clock}`);
    status.title = state.retry;
    node.classList.toggle("orchat-waiting", isWaiting && !loss);
  }

  /** Announce complete sentences. */
  function announceSentences() {
    for (const each of itemViews) {
      const words = each.part.plainText?.().slice(each.announced) ?? "";
      const ends = state?.phase === "ended" ? words.length : lastSentenceEnd(words);
      if (ends > 0) {
        announce(words.slice(0, ends));
        each.announced += ends;
      }
    }
  }

  const statusTimer = window.setInterval(drawStatus, 1000);
  const announceTimer = window.setInterval(announceSentences, 2500);

  node.addEventListener("click", (event) => {
    const pressedButton = event.target instanceof HTMLButtonElement ? event.target : null;
    if (pressedButton?.matches(".orchat-load-image")) loadImage(pressedButton);
  });

  return {
    node,
    /** @param {State} next */
    update(next) {
      if (!state || next.elapsed !== state.elapsed) {
        startedAt = performance.now() - next.elapsed * 1000;
        pausedAt = 0;
      }
      state = next;
      frame ||= requestAnimationFrame(draw);
    },
    /** @param {KernelLoss | null} next What happened to the kernel, if anything. */
    setLoss(next) {
      loss = next;
      node.classList.toggle("orchat-lost", loss !== null);
      for (const { part } of itemViews) part.setLoss?.(loss);
      if (loss) node.classList.remove("orchat-waiting");
      frame ||= requestAnimationFrame(draw);
    },
    dispose() {
      cancelAnimationFrame(frame);
      clearInterval(statusTimer);
      clearInterval(announceTimer);
      ownLiveRegion?.dispose();
      for (const { part } of itemViews) part.dispose();
    },
  };
}

/**
 * @param {string} words
 * @returns {number} Where the last complete sentence ends.
 */
function lastSentenceEnd(words) {
  const last = [...words.matchAll(/[.!?:;。！？](?=\s)|\n/g)].pop();
  return last ? last.index + 1 : 0;
}
