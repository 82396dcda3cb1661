/**
 * The turns of a panel. What nobody looks at costs little: older turns come when somebody asks for them, and an answer
 * is drawn when it comes near the part that can be seen.
 *
 * @typedef {import("./panel_reducer.js").State} State
 * @typedef {import("./panel_reducer.js").Turn} Turn
 * @typedef {{node: HTMLElement, update(turn: Turn): void, draw(): void, dispose(): void}} Row
 */

import { button, element, setText } from "../shared/elements.js";
import { STRINGS } from "./panel_messages.js";
import { createTurn } from "../view/turn.js";

const NEAR = 60; // pixels from the end, within which the log follows what is said

/**
 * @param {{rendermime: import("../shared/markdown_renderer.js").Rendermime | null, send: (message: object) => void,
 *   forms: typeof import("../form/form.js") | null, say: (words: string) => void}} options
 */
export function createTurns({ rendermime, send, forms, say }) {
  const older = button(STRINGS.older, "orchat-older", () => {
    held = box.scrollHeight - box.scrollTop;
    send({ t: "older" });
  });
  const empty = element("p", "orchat-empty", STRINGS.empty);
  const list = element("div", "orchat-turns");
  const box = element("div", "orchat-conversation", older, empty, list);
  box.setAttribute("role", "log");
  box.setAttribute("aria-live", "off"); // what is worth hearing is said sentence by sentence
  box.setAttribute("aria-label", STRINGS.conversation);
  box.tabIndex = 0;

  /** @type {Map<number, Row>} */
  const rows = new Map();
  let held = 0; // how far from the end the top was, while older turns are on their way
  let follows = true;
  box.addEventListener("scroll", () => {
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
  });
  const growing = new ResizeObserver(() => {
    if (follows) box.scrollTop = box.scrollHeight;
  });
  growing.observe(list);
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (isIntersecting) rows.get(Number(/** @type {HTMLElement} */ (target).dataset.turn))?.draw();
    }
  }, { root: box, rootMargin: "600px" });

  /**
   * @param {Turn} first
   * @returns {Row}
   */
  function createRow(first) {
    const { k, q } = first;
    const asked = element("p", "orchat-asked", element("span", "orchat-hidden", `${STRINGS.you}: `), q.text);
    const along = element("p", "orchat-along", q.files.map(({ name, kind }) => `${name} (${kind})`).join(", "));
    along.hidden = !q.files.length;
    const question = element("div", "orchat-question", asked, along);
    const node = element("article", "orchat-exchange", question);
    node.dataset.turn = String(k);
    node.setAttribute("aria-label", q.text.slice(0, 80));
    // What stands in the log already has been heard, or will be read.
    const log = { say: first.s.phase === "ended" ? () => {} : say };
    let turn = first;
    /** @type {ReturnType<typeof createTurn> | null} */
    let answer = null;
    const draw = () => {
      near.unobserve(node);
      if (answer) return;
      answer = createTurn({ rendermime, send: (message) => send({ ...message, k }), forms, log });
      answer.node.setAttribute("aria-label", `${STRINGS.answer}: ${q.text.slice(0, 80)}`);
      node.append(answer.node);
      answer.update(turn.s);
    };
    if (first.s.phase === "ended") near.observe(node);
    else draw();
    return {
      node,
      draw,
      update(next) {
        if (next === turn) return;
        turn = next;
        answer?.update(next.s);
      },
      dispose() {
        near.unobserve(node);
        answer?.dispose();
        node.remove();
      },
    };
  }

  return {
    node: box,
    /** @param {State} state */
    update({ first, turns }) {
      const wanted = new Set(turns.map(({ k }) => k));
      for (const [k, row] of rows) {
        if (wanted.has(k)) continue;
        row.dispose();
        rows.delete(k);
      }
      /** @type {Element | null} */
      let place = list.firstElementChild;
      for (const turn of turns) {
        let row = rows.get(turn.k);
        if (!row) {
          row = createRow(turn);
          rows.set(turn.k, row);
        }
        if (row.node === place) place = place.nextElementSibling;
        else list.insertBefore(row.node, place);
        row.update(turn);
      }
      older.hidden = first === 0;
      setText(older, `${STRINGS.older} (${first})`);
      empty.hidden = turns.length > 0;
      if (held) {
        box.scrollTop = box.scrollHeight - held;
        held = 0;
      }
    },
    /** Show the end, whatever was looked at. */
    toEnd() {
      follows = true;
      box.scrollTop = box.scrollHeight;
    },
    dispose() {
      growing.disconnect();
      near.disconnect();
      for (const row of rows.values()) row.dispose();
    },
  };
}
