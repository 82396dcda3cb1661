/**
 * One turn, drawn: `createTurn` gives an element that follows a state (`reduce.js`). The live view of a cell shows one
 * of these, a panel one for each turn.
 *
 * @typedef {import("./view_reducer.js").State} State
 * @typedef {import("./view_reducer.js").Item} Item
 * @typedef {{node: HTMLElement, update(item: any): void, end?(): void, words?(): string, dispose(): void}} Part
 */

import { createLog } from "../shared/live_region.js";
import { createCall } from "./tool_call.js";
import { button, element, setText } from "../shared/elements.js";
import { loadImage, renderer, webAddress } from "../shared/markdown_renderer.js";
import { createPicture, createReasoning } from "./reasoning_images.js";
import { STRINGS } from "./view_messages.js";
import { createText } from "./streaming_text.js";

/**
 * @param {{rendermime: import("../shared/markdown_renderer.js").Rendermime | null, send: (message: object) => void,
 *   forms: import("./tool_call.js").Forms | null, log?: {say(words: string): void}}} options ``log``: where things are
 *   announced; without it the turn has its own.
 */
export function createTurn({ rendermime, send, forms, log }) {
  const status = element("span", "orchat-status");
  const stop = button(STRINGS.stop, "orchat-stop", () => {
    send({ t: "stop" });
    stop.disabled = true;
    setText(stop, STRINGS.stopping);
  });
  const bar = element("div", "orchat-bar", status, stop);
  const list = element("div", "orchat-items");
  const sources = element("p", "orchat-sources");
  const footer = element("p", "orchat-footer");
  const stage = element("div", "orchat-stage");
  stage.setAttribute("aria-hidden", "true");
  const node = element("section", "orchat-turn", bar, list, sources, footer, stage);
  node.setAttribute("aria-label", STRINGS.answer);
  const own = log ? null : createLog();
  if (own) node.append(own.node);
  const say = (log ?? /** @type {{say(words: string): void}} */ (own)).say;

  const render = renderer(rendermime, stage);
  /** @type {{part: Part, item: Item, said: number}[]} */
  const parts = [];
  /** @type {State | null} */
  let state = null;
  let began = 0;
  let frame = 0;

  /**
   * @param {Item} item
   * @param {number} i
   * @returns {Part}
   */
  function partOf(item, i) {
    if (item.kind === "text") return createText(render, () => state?.cell ?? false);
    if (item.kind === "reasoning") return createReasoning();
    if (item.kind === "picture") return createPicture();
    return createCall((message) => send({ ...message, i }), say, forms, render);
  }

  function paint() {
    frame = 0;
    if (!state) return;
    state.items.forEach((item, i) => {
      const last = parts[i];
      if (last?.item === item) return;
      if (!last || last.item.kind !== item.kind) {
        last?.part.dispose();
        const part = partOf(item, i);
        if (last) last.part.node.replaceWith(part.node);
        else list.append(part.node);
        parts[i] = { part, item, said: 0 };
      }
      parts[i].item = item;
      parts[i].part.update(item);
    });
    while (parts.length > state.items.length) {
      const { part } = /** @type {{part: Part}} */ (parts.pop());
      part.dispose();
      part.node.remove();
    }
    showSources();
    setText(footer, state.footer);
    const ended = state.phase === "ended";
    bar.hidden = ended;
    stop.hidden = !state.stop;
    node.setAttribute("aria-busy", String(!ended));
    if (ended) for (const { part } of parts) part.end?.();
    tell();
  }

  function showSources() {
    if (!state || sources.childElementCount === state.sources.length) return;
    sources.replaceChildren(`${STRINGS.sources}: `);
    state.sources.forEach(({ url, title }, i) => {
      const address = webAddress(url);
      if (!address) return;
      const link = element("a", "", title);
      link.href = address.href;
      link.target = "_blank";
      link.rel = "noopener noreferrer";
      sources.append(i ? ", " : "", link);
    });
  }

  function tell() {
    if (!state) return;
    const seconds = Math.floor((performance.now() - began) / 1000);
    const clock = seconds >= 1 ? ` ${seconds}${STRINGS.seconds}` : "";
    const waits = state.phase === "waiting";
    setText(status, waits ? `${STRINGS.waiting} ${state.label} …${clock}` : `${state.label}${clock}`);
    node.classList.toggle("orchat-waiting", waits);
  }

  /** Say the sentences that are complete. */
  function announce() {
    for (const each of parts) {
      const words = each.part.words?.().slice(each.said) ?? "";
      const ends = state?.phase === "ended" ? words.length : sentences(words);
      if (ends > 0) {
        say(words.slice(0, ends));
        each.said += ends;
      }
    }
  }

  const ticking = window.setInterval(tell, 1000);
  const speaking = window.setInterval(announce, 2500);

  node.addEventListener("click", (event) => {
    const pressed = event.target instanceof HTMLButtonElement ? event.target : null;
    const code = () => pressed?.closest(".orchat-code")?.querySelector("pre")?.textContent ?? "";
    if (!pressed) return;
    if (pressed.matches(".orchat-image")) loadImage(pressed);
    else if (pressed.matches(".orchat-to-cell")) send({ t: "cell", code: code().replace(/\n$/, "") });
    else if (pressed.matches(".orchat-copy")) {
      void navigator.clipboard.writeText(code()).then(() => {
        setText(pressed, STRINGS.copied);
        say(STRINGS.copied);
        setTimeout(() => setText(pressed, STRINGS.copy), 1500);
      }, () => {});
    }
  });

  return {
    node,
    /** @param {State} next */
    update(next) {
      if (!state || next.elapsed !== state.elapsed) began = performance.now() - next.elapsed * 1000;
      state = next;
      frame ||= requestAnimationFrame(paint);
    },
    dispose() {
      cancelAnimationFrame(frame);
      clearInterval(ticking);
      clearInterval(speaking);
      own?.dispose();
      for (const { part } of parts) part.dispose();
    },
  };
}

/**
 * @param {string} words
 * @returns {number} Where the last complete sentence ends.
 */
function sentences(words) {
  const last = [...words.matchAll(/[.!?:;。！？](?=\s)|\n/g)].pop();
  return last ? last.index + 1 : 0;
}
