/**
 * The chat panel: an anywidget whose state comes through `link.js`; its log, its composer, and what can be set.
 *
 * @typedef {import("./panel_reducer.js").State} State
 */

import { createLog } from "../shared/live_region.js";
import { button, element, setText } from "../shared/elements.js";
import { keepKeys } from "../shared/shortcut_guard.js";
import { connect } from "../shared/channel.js";
import { rendermimeOf } from "../shared/markdown_renderer.js";
import { createComposer } from "./question_composer.js";
import { breakLine, isEnter } from "../shared/line_break.js";
import { createTurns } from "./conversation_log.js";
import { createPicker } from "./model_picker.js";
import { keepReadable } from "./saved_transcript.js";
import { createSettings } from "./chat_settings.js";
import { reduce } from "./panel_reducer.js";
import { STRINGS } from "./panel_messages.js";
import { addStyles } from "../shared/stylesheet.js";

const SWAPPED = "orchat: Enter breaks the line";

/**
 * @param {{model: any, el: HTMLElement, css: string}} context
 */
export async function render({ model, el, css }) {
  addStyles(el, css);
  const forms = await import("../form/form.js").catch(() => null);
  const rendermime = rendermimeOf(model);
  /** @param {object} message */
  const send = (message) => model.send(message);
  const heard = createLog();
  const { say } = heard;
  /** @type {State | null} */
  let state = null;

  const turns = createTurns({ rendermime, send, forms, say });
  const composer = createComposer({
    send,
    say,
    last: () => state?.turns.at(-1)?.q.text ?? "",
    sent: () => turns.toEnd(),
  });

  // -- the bar above -------------------------------------------------------------------------------------------

  const chats = element("select", "orchat-select orchat-chats");
  chats.setAttribute("aria-label", STRINGS.chats);
  chats.addEventListener("change", () => send({ t: "switch", name: chats.value }));
  const begin = button(STRINGS.newChat, "orchat-new", () => {
    send({ t: "new", name: "" });
    composer.focus();
  });
  const pick = button("", "orchat-pick", () => {
    openPicker(STRINGS.model, (id) => send({ t: "model", model: id }), pick);
  });
  const set = button(STRINGS.settings, "orchat-set", () => toggle(settings, set));
  const copy = button(STRINGS.copyMarkdown, "orchat-copy-all", () => {
    send({ t: "export", to: "clipboard", n: ++exports });
  });
  const toCell = button(STRINGS.toCell, "orchat-export-cell", () => send({ t: "export", to: "cell" }));
  const cost = element("span", "orchat-cost");
  cost.title = STRINGS.cost;
  const bar = element("div", "orchat-panel-bar", pick, chats, begin, set, copy, toCell, cost);
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", STRINGS.panel);

  // -- what opens below it -------------------------------------------------------------------------------------

  let exports = Date.now() % 1_000_000_000;
  let exported = exports;
  /** @type {{close(): void} | null} */
  let open = null;
  /** @type {HTMLElement | null} */
  let opener = null;
  /** @type {(model: string) => void} */
  let chosen = () => {};
  const close = () => {
    open?.close();
    opener?.setAttribute("aria-expanded", "false");
    if (open) opener?.focus();
    open = opener = null;
  };
  const picker = createPicker({ send, chosen: (id) => chosen(id), closed: close });
  const settings = createSettings({
    send,
    swapped: stored() === "1",
    swap(enterBreaks) {
      composer.swap(enterBreaks);
      store(enterBreaks ? "1" : "");
    },
    closed: close,
  });
  composer.swap(stored() === "1");
  for (const each of [pick, set]) each.setAttribute("aria-expanded", "false");

  /**
   * @param {{open(): void, close(): void}} sheet
   * @param {HTMLElement} by
   */
  function toggle(sheet, by) {
    const same = open === sheet;
    close();
    if (same) return;
    open = sheet;
    opener = by;
    by.setAttribute("aria-expanded", "true");
    sheet.open();
  }

  /**
   * @param {string} words
   * @param {(model: string) => void} use
   * @param {HTMLElement} by
   */
  function openPicker(words, use, by) {
    const same = open !== null && opener === by;
    close();
    if (same) return;
    open = picker;
    opener = by;
    chosen = use;
    by.setAttribute("aria-expanded", "true");
    picker.open(words);
  }

  // -- what can be done with the last turn ---------------------------------------------------------------------

  const again = button(STRINGS.again, "orchat-again", () => send({ t: "again" }));
  const other = button(STRINGS.anotherModel, "orchat-other", () => {
    openPicker(STRINGS.againWith, (id) => send({ t: "again", model: id }), other);
  });
  const edit = button(STRINGS.edit, "orchat-edit", () => {
    send({ t: "edit" });
    composer.focus();
  });
  const undo = button(STRINGS.undo, "orchat-undo", () => {
    send({ t: "undo" });
    composer.focus();
  });
  const acts = element("div", "orchat-acts", again, other, edit, undo);
  acts.setAttribute("role", "toolbar");
  acts.setAttribute("aria-label", STRINGS.conversation);

  const problem = element("div", "orchat-problem");
  problem.setAttribute("role", "alert");
  const locked = element("div", "orchat-problem orchat-locked");
  locked.setAttribute("role", "status");
  const where = element("p", "orchat-where");
  const note = element("p", "orchat-note");
  const node = element(
    "section", "orchat-turn orchat-panel", bar, picker.node, settings.node, locked, turns.node, problem, acts,
    composer.node, note, where, heard.node,
  );
  node.setAttribute("aria-label", STRINGS.panel);
  node.dataset.lmSuppressShortcuts = "true"; // what is typed here is no command to the notebook
  el.append(node);
  keepKeys(node);

  node.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLTextAreaElement) || event.defaultPrevented || !isEnter(event)) return;
    event.preventDefault();
    breakLine(event.target);
  });
  node.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    node.classList.add("orchat-dropping");
  });
  node.addEventListener("dragleave", () => node.classList.remove("orchat-dropping"));
  node.addEventListener("drop", (event) => {
    node.classList.remove("orchat-dropping");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    event.stopPropagation();
    void composer.add([...event.dataTransfer.files]);
  });

  // -- drawing -------------------------------------------------------------------------------------------------

  const save = keepReadable(model);
  if (save) send({ t: "saves" });
  let frame = 0;

  /** @param {State} next */
  function changed(next) {
    const last = state?.fields;
    const { fields } = next;
    state = next;
    if (save && fields.saved && fields.saved !== last?.saved) save(fields.widget ?? "", fields.saved);
    if (fields.exported && fields.exported.n === exports && exported !== exports) {
      exported = exports;
      navigator.clipboard.writeText(fields.exported.text).then(() => say(STRINGS.copied), () => {});
    }
    frame ||= requestAnimationFrame(paint);
  }

  /** @type {State["fields"] | null} */
  let painted = null;
  function paint() {
    frame = 0;
    if (!state) return;
    const { fields } = state;
    turns.update(state);
    const some = state.turns.length > 0;
    const busy = fields.running || Boolean(fields.readonly);
    acts.hidden = !some || busy;
    again.hidden = other.hidden = Boolean(fields.error);
    if (fields === painted) return;
    node.style.setProperty("--orchat-height", fields.height);
    setText(pick, fields.model);
    pick.setAttribute("aria-label", `${STRINGS.model}: ${fields.model}`);
    if (fields.chats !== painted?.chats) {
      chats.replaceChildren(...fields.chats.map((name) => {
        const option = element("option", "", name);
        option.value = name;
        return option;
      }));
    }
    chats.value = fields.chat;
    chats.hidden = fields.chats.length < 2;
    toCell.hidden = !fields.cell;
    for (const each of [chats, begin, pick, set]) each.disabled = fields.running;
    setText(cost, fields.cost === "$0" ? "" : fields.cost);
    setText(where, fields.where);
    setText(note, fields.note);
    if (fields.error !== painted?.error) showProblem(fields.error);
    if (fields.readonly !== painted?.readonly) showLocked(fields.readonly);
    composer.update(fields);
    picker.update(fields);
    settings.update(fields);
    painted = fields;
  }

  /** @param {State["fields"]["error"]} error */
  function showProblem(error) {
    problem.replaceChildren();
    problem.hidden = !error;
    if (!error) return;
    const { title, text, hint } = error;
    problem.append(element("strong", "", title), element("p", "", text));
    if (hint) problem.append(element("p", "orchat-hint", `→ ${hint}`));
    const retry = button(STRINGS.retry, "orchat-retry", () => send({ t: "again" }));
    const dismiss = button(STRINGS.dismiss, "orchat-dismiss", () => {
      send({ t: "dismiss" });
      composer.focus();
    });
    problem.append(element("div", "orchat-problem-acts", retry, dismiss));
  }

  /** @param {State["fields"]["readonly"]} readonly */
  function showLocked(readonly) {
    locked.replaceChildren();
    locked.hidden = !readonly;
    if (!readonly) return;
    locked.append(element("p", "", readonly.text));
    if (readonly.discard) locked.append(button(STRINGS.startOver, "orchat-discard", () => send({ t: "discard" })));
  }

  const link = connect(model, { render: rendermime ? "markdown" : "html", reduce, changed });
  return () => {
    cancelAnimationFrame(frame);
    link.dispose();
    composer.dispose();
    picker.dispose();
    turns.dispose();
    heard.dispose();
  };
}

/** What a person prefers is the browser's; where it keeps nothing, the usual holds. */
function stored() {
  try {
    return localStorage.getItem(SWAPPED);
  } catch {
    return null;
  }
}

/** @param {string} value */
function store(value) {
  try {
    localStorage.setItem(SWAPPED, value);
  } catch {
    // it holds for this page
  }
}
