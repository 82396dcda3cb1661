/**
 * The scrolling log of a panel's turns. Turns out of sight cost little: older ones are sent on request, and an answer
 * is drawn when it comes near the visible part.
 *
 * @typedef {import("./panel_reducer.js").State} State
 * @typedef {import("./panel_reducer.js").Turn} Turn
 * @typedef {import("../shared/kernel_watch.js").KernelLoss} KernelLoss
 * @typedef {{node: HTMLElement, actions: HTMLElement, update(turn: Turn): void, draw(): void, setLoss(loss: KernelLoss | null): void,
 *   setActions(state: {isLast: boolean, isBusy: boolean}): void, focusVersion(n: number): void, dispose(): void}} Row
 */

import { iconButton } from "../extension/static/icons.js";
import { button, element, setText } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";
import { createStartPage } from "./start_page.js";
import { createVersions } from "./turn_versions.js";
import { createImage } from "../view/reasoning_images.js";
import { createTurn } from "../view/turn.js";

const FOLLOW_DISTANCE = 60; // pixels from the end, within which the log follows the answer

/**
 * @param {{rendermime: import("../shared/markdown_renderer.js").Rendermime | null, send: (message: object) => void,
 *   forms: typeof import("../form/form.js") | null, announce: (words: string) => void,
 *   onPrompt: (prompt: string) => void, chooseModel: (k: number, by: HTMLElement) => void,
 *   lastActions: HTMLElement}} options ``onPrompt`` takes a question to begin with, ``chooseModel`` lets a person choose
 *   a model, by which the question of a turn is asked again; ``lastActions`` are buttons that stand below the last turn.
 */
export function createConversationLog({ rendermime, send, forms, announce, onPrompt, chooseModel, lastActions }) {
  const olderButton = button(STRINGS.older, "orchat-older-turns", () => {
    heldDistance = box.scrollHeight - box.scrollTop;
    send({ t: "older" });
  });
  const startPage = createStartPage(onPrompt);
  const list = element("div", "orchat-turns");
  const box = element("div", "orchat-conversation", olderButton, startPage.node, list);
  box.setAttribute("role", "log");
  box.setAttribute("aria-live", "off"); // the live region announces answers sentence by sentence
  box.setAttribute("aria-label", STRINGS.conversation);
  box.tabIndex = 0;

  /** @type {Map<number, Row>} */
  const rows = new Map();
  let heldDistance = 0; // how far from the end the top was, while older turns are on their way
  let isFollowing = true;
  /** @type {{index: number, n: number} | null} The version that a person asked for: its button gets the focus. */
  let refocus = null;
  /** @type {KernelLoss | null} */
  let loss = null;
  box.addEventListener("scroll", () => {
    isFollowing = box.scrollHeight - box.scrollTop - box.clientHeight < FOLLOW_DISTANCE;
  });
  const resizeObserver = new ResizeObserver(() => {
    if (isFollowing) box.scrollTop = box.scrollHeight;
  });
  resizeObserver.observe(list);
  const intersectionObserver = new IntersectionObserver((seen) => {
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
    const node = element("article", "orchat-exchange", createQuestion(q));
    node.dataset.turn = String(k);
    node.setAttribute("aria-label", q.text.slice(0, 80));
    const answers = element("div", "orchat-answers");
    const versions = createVersions({
      show(n) {
        refocus = { index: [...list.children].indexOf(node), n };
        send({ t: "version", k, n });
      },
      compare: (on) => send({ t: "compare", k, on }),
    });
    const edit = iconButton("edit", STRINGS.edit, "orchat-edit-turn", () => send({ t: "edit", k }));
    const again = iconButton("again", STRINGS.again, "orchat-again-turn", () => send({ t: "again", k }));
    const otherModel = iconButton("replace", STRINGS.anotherModel, "orchat-again-turn-with", () => {
      chooseModel(k, otherModel);
    });
    const actions = element("div", "orchat-exchange-actions", versions.node, again, otherModel, edit);
    actions.setAttribute("role", "group");
    actions.setAttribute("aria-label", STRINGS.versions);
    node.append(answers, actions);
    // Turns that ended before are not announced.
    const liveRegion = { announce: first.s.phase === "ended" ? () => {} : announce };
    /** @param {object} message */
    const sendOfTurn = (message) => send({ ...message, k });
    let turn = first;
    /** @type {ReturnType<typeof createTurn> | null} */
    let answer = null;
    /** @type {ReturnType<typeof createTurn>[]} */
    let others = [];
    const drawOthers = () => {
      for (const each of others) each.dispose();
      others = [];
      node.classList.toggle("orchat-compared", Boolean(turn.o));
      if (!answer) return;
      const shown = [{ n: turn.v?.[0] ?? 0, column: createColumn(turn, answer.node, turn.v?.[0] ?? 0) }];
      for (const other of turn.o ?? []) {
        const view = createTurn({ rendermime, send: sendOfTurn, forms: null, liveRegion: { announce() {} } });
        view.update(other.s);
        others.push(view);
        shown.push({ n: other.n, column: createColumn({ ...turn, q: other.q }, view.node, other.n) });
      }
      shown.sort((one, another) => one.n - another.n);
      answers.replaceChildren(...shown.map(({ column }) => column));
    };
    /**
     * @param {Turn} of
     * @param {HTMLElement} view
     * @param {number} n
     */
    function createColumn(of, view, n) {
      if (!turn.o) return view;
      const label = element("p", "orchat-version-label", `${STRINGS.version} ${n + 1}`);
      const column = element("div", "orchat-answer-column", label);
      if (of.q.text !== turn.q.text) column.append(createQuestion(of.q));
      column.append(view);
      return column;
    }
    const draw = () => {
      intersectionObserver.unobserve(node);
      if (answer) return;
      answer = createTurn({ rendermime, send: sendOfTurn, forms, liveRegion });
      answer.node.setAttribute("aria-label", `${STRINGS.answer}: ${q.text.slice(0, 80)}`);
      drawOthers();
      answer.update(turn.s);
      answer.setLoss(loss);
    };
    versions.update(first);
    if (first.s.phase === "ended") intersectionObserver.observe(node);
    else draw();
    return {
      node,
      actions,
      draw,
      update(next) {
        if (next === turn) return;
        const last = turn;
        turn = next;
        if (next.v !== last.v || next.o !== last.o) versions.update(next);
        if (next.o !== last.o) drawOthers();
        if (next.s !== last.s) answer?.update(next.s);
      },
      setActions({ isLast, isBusy }) {
        edit.hidden = again.hidden = otherModel.hidden = isLast;
        for (const each of [edit, again, otherModel]) each.classList.toggle("orchat-resting", isBusy);
        versions.setBusy(isBusy);
      },
      focusVersion: (n) => versions.focus(n),
      setLoss: (next) => answer?.setLoss(next),
      dispose() {
        intersectionObserver.unobserve(node);
        for (const each of others) each.dispose();
        answer?.dispose();
        node.remove();
      },
    };
  }

  return {
    node: box,
    /** @param {State} state */
    update({ fields, first, turns }) {
      const keys = new Set(turns.map(({ k }) => k));
      for (const [k, row] of rows) {
        if (keys.has(k)) continue;
        row.dispose();
        rows.delete(k);
      }
      /** @type {Element | null} */
      let nextNode = list.firstElementChild;
      for (const turn of turns) {
        let row = rows.get(turn.k);
        if (!row) {
          row = createRow(turn);
          rows.set(turn.k, row);
        }
        if (row.node === nextNode) nextNode = nextNode.nextElementSibling;
        else list.insertBefore(row.node, nextNode);
        row.update(turn);
        const isBusy = fields.running || Boolean(fields.readonly) || loss !== null;
        row.setActions({ isLast: turn === turns.at(-1), isBusy });
        row.node.classList.toggle("orchat-edited", fields.editing === turn.k);
      }
      const asked = refocus && turns[refocus.index];
      if (refocus && asked && asked.v?.[0] === refocus.n) {
        rows.get(asked.k)?.focusVersion(refocus.n);
        refocus = null;
      }
      const last = turns.length ? rows.get(turns[turns.length - 1].k) : null;
      const place = last?.actions ?? box;
      if (lastActions.parentElement !== place) place.append(lastActions);
      olderButton.hidden = first === 0;
      setText(olderButton, `${STRINGS.older} (${first})`);
      startPage.update(fields);
      startPage.node.hidden = turns.length > 0;
      if (heldDistance) {
        box.scrollTop = box.scrollHeight - heldDistance;
        heldDistance = 0;
      }
    },
    /** Scroll to the end. */
    toEnd() {
      isFollowing = true;
      box.scrollTop = box.scrollHeight;
    },
    /** @param {KernelLoss | null} next */
    setLoss(next) {
      loss = next;
      olderButton.disabled = loss !== null;
      for (const row of rows.values()) row.setLoss(loss);
    },
    dispose() {
      resizeObserver.disconnect();
      intersectionObserver.disconnect();
      for (const row of rows.values()) row.dispose();
    },
  };
}

/**
 * @param {import("./panel_reducer.js").Question} q
 */
function createQuestion(q) {
  const role = element("span", "orchat-visually-hidden", `${STRINGS.you}: `);
  const questionText = element("p", "orchat-question-text", role, q.text);
  const fileNames = q.files.map(({ name, kind }) => `${name} (${kind})`).join(", ");
  const questionFiles = element("p", "orchat-question-files", fileNames);
  questionFiles.hidden = !q.files.length;
  const pictures = element("div", "orchat-question-pictures", ...q.files.flatMap(({ name, picture }) => {
    if (!picture) return [];
    const image = createImage(name);
    image.update({ kind: "picture", ...picture });
    return [image.node];
  }));
  pictures.hidden = !pictures.childElementCount;
  const question = element("div", "orchat-question", pictures, questionText, questionFiles);
  if (q.values) {
    const summary = element("summary", "", `${STRINGS.withValues} ${q.values.join(", ")}`);
    const sentText = element("pre", "orchat-question-sent", q.sent ?? "");
    question.append(element("details", "orchat-question-values", summary, sentText));
  }
  return question;
}
