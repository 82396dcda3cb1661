/**
 * The chat panel: an anywidget that assembles toolbar, log, composer and settings, with its state from `channel.js`.
 *
 * @typedef {import("./panel_reducer.js").State} State
 */

import { icon, iconButton } from "../extension/static/icons.js";
import { createLiveRegion } from "../shared/live_region.js";
import { button, element, setText, withCode } from "../shared/elements.js";
import { guardShortcuts } from "../shared/shortcut_guard.js";
import { connectChannel } from "../shared/channel.js";
import { createBusyNotice } from "../shared/busy_notice.js";
import { createKernelNotice, watchKernel } from "../shared/kernel_watch.js";
import { findRendermime } from "../shared/markdown_renderer.js";
import { createQuestionComposer } from "./question_composer.js";
import { insertLineBreak, isPlainEnter } from "../shared/line_break.js";
import { createChatList } from "./chat_list.js";
import { createConversationLog } from "./conversation_log.js";
import { readPreference, writePreference } from "./enter_preference.js";
import { createModelPicker, modelWords } from "./model_picker.js";
import { createOutputUpdate } from "./output_update.js";
import { createOverflowMenu } from "./overflow_menu.js";
import { createTranscriptSaver } from "./transcript_saver.js";
import { createChatSettings } from "./chat_settings.js";
import { reduceEvents } from "./panel_reducer.js";
import { STRINGS } from "./panel_strings.js";
import { addStyles } from "../shared/stylesheet.js";

/**
 * @param {{model: any, el: HTMLElement, css: string, send: import("../shared/loader.js").Send}} context
 */
export async function render({ model, el, css, send: sendToKernel }) {
  addStyles(el, css);
  const forms = await import("../form/form.js").catch(() => null);
  const rendermime = findRendermime(model);
  const busyNotice = createBusyNotice(model, sendToKernel);
  /** @param {any} message */
  const send = (message) => {
    sendToKernel(message);
    busyNotice.watch(message);
  };
  const liveRegion = createLiveRegion();
  const { announce } = liveRegion;
  /** @type {State | null} */
  let state = null;
  /** @type {import("../shared/kernel_watch.js").KernelLoss | null} */
  let loss = null;

  const turnActions = element("div", "orchat-turn-actions");
  const turns = createConversationLog({
    lastActions: turnActions,
    rendermime,
    send,
    forms,
    announce,
    onPrompt: (prompt) => composer.begin(prompt),
    chooseModel: (k, by) => openPicker(STRINGS.againWith, (id) => send({ t: "again", k, model: id }), by),
  });
  const composer = createQuestionComposer({
    send,
    announce,
    lastQuestion: () => state?.turns.at(-1)?.q.text ?? "",
    onSend: () => turns.toEnd(),
  });

  // -- the toolbar ---------------------------------------------------------------------------------------------

  const modelName = element("span", "orchat-model-label");
  const modelButton = button("", "orchat-model-button", () => {
    openPicker(STRINGS.model, (id) => send({ t: "model", model: id }), modelButton);
  });
  modelButton.append(modelName, icon("down"));
  const chatsButton = iconButton("chat", STRINGS.chats, "orchat-chats-button", () => {
    toggleSheet(chats, chatsButton);
  });
  const newChatButton = iconButton("newChat", STRINGS.newChat, "orchat-new-chat", () => {
    send({ t: "new", name: "" });
    composer.focus();
  });
  const settingsButton = iconButton("settings", STRINGS.settings, "orchat-settings-button", () => {
    toggleSheet(settings, settingsButton);
  });
  const copyButton = button(STRINGS.copyMarkdown, "orchat-copy-all", () => {
    send({ t: "export", to: "clipboard", n: ++exportNumber });
  });
  const exportButton = button(STRINGS.toCell, "orchat-export-cell", () => send({ t: "export", to: "cell" }));
  const moveButton = button(STRINGS.toSide, "orchat-move", () => dispatchMove(node, false));
  const menu = createOverflowMenu(STRINGS.moreActions, [moveButton, copyButton, exportButton]);
  const cost = element("span", "orchat-cost");
  cost.title = STRINGS.cost;
  const actions = [chatsButton, newChatButton, settingsButton, menu.node];
  const bar = element("div", "orchat-panel-bar", modelButton, cost, ...actions);
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", STRINGS.panel);

  // -- sheets below the toolbar --------------------------------------------------------------------------------

  let exportNumber = Date.now() % 1_000_000_000;
  let copiedExport = exportNumber;
  /** @type {{close(): void} | null} */
  let openSheet = null;
  /** @type {HTMLElement | null} */
  let sheetButton = null;
  /** @type {(model: string) => void} */
  let onModelChosen = () => {};
  const closeSheet = () => {
    openSheet?.close();
    sheetButton?.setAttribute("aria-expanded", "false");
    if (openSheet) sheetButton?.focus();
    openSheet = sheetButton = null;
  };
  const picker = createModelPicker({ send, onChoose: (id) => onModelChosen(id), onClose: closeSheet });
  const chats = createChatList({ send, onClose: closeSheet });
  const settings = createChatSettings({
    send,
    enterBreaks: readPreference() === "1",
    onEnterChange(enterBreaks) {
      composer.setEnterBreaks(enterBreaks);
      writePreference(enterBreaks ? "1" : "");
    },
    onClose: closeSheet,
  });
  composer.setEnterBreaks(readPreference() === "1");
  for (const each of [modelButton, chatsButton, settingsButton]) each.setAttribute("aria-expanded", "false");

  /**
   * @param {{open(): void, close(): void}} sheet
   * @param {HTMLElement} by
   */
  function toggleSheet(sheet, by) {
    const same = openSheet === sheet;
    closeSheet();
    if (same) return;
    openSheet = sheet;
    sheetButton = by;
    by.setAttribute("aria-expanded", "true");
    sheet.open();
  }

  /**
   * @param {string} words
   * @param {(model: string) => void} use
   * @param {HTMLElement} by
   */
  function openPicker(words, use, by) {
    const same = openSheet !== null && sheetButton === by;
    closeSheet();
    if (same) return;
    openSheet = picker;
    sheetButton = by;
    onModelChosen = use;
    by.setAttribute("aria-expanded", "true");
    picker.open(words);
  }

  // -- actions on the last turn --------------------------------------------------------------------------------

  const againButton = iconButton("again", STRINGS.again, "orchat-again", () => send({ t: "again" }));
  const otherModelButton = iconButton("replace", STRINGS.anotherModel, "orchat-again-with", () => {
    openPicker(STRINGS.againWith, (id) => send({ t: "again", model: id }), otherModelButton);
  });
  const editButton = iconButton("edit", STRINGS.edit, "orchat-edit", () => {
    send({ t: "edit" });
    composer.focus();
  });
  const undoButton = iconButton("undo", STRINGS.undo, "orchat-undo", () => {
    send({ t: "undo" });
    composer.focus();
  });
  const redoButton = iconButton("redo", STRINGS.redo, "orchat-redo", () => {
    send({ t: "redo" });
    composer.focus();
  });
  turnActions.append(againButton, otherModelButton, editButton, undoButton, redoButton);
  turnActions.setAttribute("role", "toolbar");
  turnActions.setAttribute("aria-label", STRINGS.lastTurn);

  const kernelNotice = createKernelNotice();
  const errorCard = element("div", "orchat-error-card");
  errorCard.setAttribute("role", "alert");
  const readonlyCard = element("div", "orchat-error-card orchat-readonly-card");
  readonlyCard.setAttribute("role", "status");
  const storageStatus = element("p", "orchat-storage-status");
  const note = element("p", "orchat-note");
  const node = element(
    "section", "orchat-turn orchat-panel", bar, picker.node, chats.node, settings.node, readonlyCard, turns.node,
    errorCard, kernelNotice.node, busyNotice.node, composer.node, note, storageStatus, liveRegion.node,
  );
  node.setAttribute("aria-label", STRINGS.panel);
  node.dataset.lmSuppressShortcuts = "true"; // what is typed here is no command to the notebook
  el.append(node);
  guardShortcuts(node);

  node.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLTextAreaElement) || event.defaultPrevented || !isPlainEnter(event)) return;
    event.preventDefault();
    insertLineBreak(event.target);
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

  const saveTranscript = createTranscriptSaver(model);
  if (saveTranscript) send({ t: "saves" });
  const outputUpdate = saveTranscript ? null : createOutputUpdate(node, send);
  let frame = 0;

  /** @param {State} next */
  function onState(next) {
    const last = state?.fields;
    const { fields } = next;
    state = next;
    if (fields.saved && fields.saved !== last?.saved) saveTranscript?.(fields.widget ?? "", fields.saved);
    outputUpdate?.update(fields);
    if (fields.exported && fields.exported.n === exportNumber && copiedExport !== exportNumber) {
      copiedExport = exportNumber;
      navigator.clipboard.writeText(fields.exported.text).then(() => announce(STRINGS.copied), () => {});
    }
    frame ||= requestAnimationFrame(draw);
  }

  /** @type {State["fields"] | null} */
  let drawnFields = null;
  function draw() {
    frame = 0;
    if (!state) return;
    const { fields } = state;
    turns.update(state);
    const hasTurns = state.turns.length > 0;
    const isBusy = fields.running || Boolean(fields.readonly) || loss !== null;
    turnActions.hidden = !hasTurns && !fields.redo;
    turnActions.classList.toggle("orchat-resting", isBusy);
    againButton.hidden = otherModelButton.hidden = !hasTurns || Boolean(fields.error?.actions?.includes("retry"));
    editButton.hidden = undoButton.hidden = !hasTurns;
    redoButton.hidden = !fields.redo;
    if (fields === drawnFields) return;
    node.style.setProperty("--orchat-height", fields.height);
    const isTall = fields.running || (hasTurns && node.classList.contains("orchat-tall"));
    if (isTall && !node.classList.contains("orchat-tall") && composer.node.contains(document.activeElement)) {
      requestAnimationFrame(() => composer.node.scrollIntoView({ block: "nearest" }));
    }
    node.classList.toggle("orchat-tall", isTall);
    if (fields.model !== drawnFields?.model) modelName.replaceChildren(...modelWords(fields.model));
    modelButton.title = fields.model;
    modelButton.setAttribute("aria-label", `${STRINGS.model}: ${fields.model}`);
    chatsButton.hidden = fields.chats.length < 2;
    exportButton.hidden = !fields.cell;
    node.dataset.widget = fields.widget ?? "";
    moveButton.hidden = !fields.widget || !dispatchMove(node, true);
    setText(moveButton, node.closest(".orchat-side") ? STRINGS.toItsCell : STRINGS.toSide);
    updateToolbar();
    setText(cost, fields.cost === "$0" ? "" : fields.cost);
    setText(storageStatus, fields.where);
    setText(note, fields.note);
    if (fields.error !== drawnFields?.error) drawError(fields.error);
    if (fields.readonly !== drawnFields?.readonly) drawReadonly(fields.readonly);
    composer.update(fields);
    busyNotice.update(fields.running);
    if (!drawnFields) composer.restoreDraft(takeDraft(node));
    picker.update(fields);
    chats.update(fields);
    settings.update(fields);
    drawnFields = fields;
  }

  function updateToolbar() {
    for (const each of [chatsButton, newChatButton, modelButton, settingsButton]) {
      each.disabled = Boolean(state?.fields.running) || loss !== null;
    }
    menu.setDisabled(loss !== null);
    for (const each of errorCard.querySelectorAll("button")) each.disabled = loss !== null;
  }

  /** @param {State["fields"]["error"]} error */
  function drawError(error) {
    errorCard.replaceChildren();
    errorCard.hidden = !error;
    if (!error) return;
    const { title, text, hint } = error;
    errorCard.append(element("strong", "", title), element("p", "", ...withCode(text)));
    if (hint) errorCard.append(element("p", "orchat-hint", "→ ", ...withCode(hint)));
    const actions = [];
    if (error.actions?.includes("retry")) {
      actions.push(button(STRINGS.retry, "orchat-retry orchat-outlined", () => send({ t: "retry" })));
    }
    if (error.actions?.includes("model")) {
      const choose = button(STRINGS.chooseModel, "orchat-retry-with orchat-outlined", () => {
        openPicker(STRINGS.retryWith, (id) => send({ t: "retry", model: id }), choose);
      });
      actions.push(choose);
    }
    if (error.actions?.includes("key") && state?.fields.cell) {
      actions.push(button(STRINGS.setKey, "orchat-set-key orchat-outlined", () => send({ t: "key" })));
    }
    const dismiss = button(STRINGS.dismiss, "orchat-dismiss", () => {
      send({ t: "dismiss" });
      composer.focus();
    });
    errorCard.append(element("div", "orchat-error-actions", ...actions, dismiss));
  }

  /** @param {State["fields"]["readonly"]} readonly */
  function drawReadonly(readonly) {
    readonlyCard.replaceChildren();
    readonlyCard.hidden = !readonly;
    if (!readonly) return;
    readonlyCard.append(element("p", "", readonly.text));
    if (!readonly.discard) return;
    readonlyCard.append(button(STRINGS.startOver, "orchat-discard orchat-outlined", () => send({ t: "discard" })));
  }

  const format = rendermime ? "markdown" : "html";
  const channel = connectChannel(model, { send: sendToKernel, render: format, reduce: reduceEvents, onState });
  /** @type {Map<number, string> | null} */
  let drafts = null;
  let place = 0;
  const kernel = watchKernel(model, (next) => {
    loss = next;
    if (loss?.isFinal) [drafts, place] = findDrafts(node); // now, for the output is cleared before it is disposed of
    if (loss) closeSheet();
    turns.setLoss(loss);
    composer.setLoss(loss);
    kernelNotice.update(loss);
    updateToolbar();
    frame ||= requestAnimationFrame(draw);
    if (!loss) channel.refresh();
  });
  return () => {
    if (drafts) drafts.set(place, composer.draft);
    cancelAnimationFrame(frame);
    kernel.dispose();
    busyNotice.dispose();
    outputUpdate?.dispose();
    channel.dispose();
    composer.dispose();
    picker.dispose();
    turns.dispose();
    liveRegion.dispose();
  };
}

/**
 * @param {HTMLElement} node A panel.
 * @param {boolean} isProbe Whether to ask only if it can be done.
 * @returns {boolean} Whether the extension of the front end (`side_panel.js`) moves it to the side, or back.
 */
function dispatchMove(node, isProbe) {
  const options = { bubbles: true, cancelable: true, detail: { isProbe } };
  return !node.dispatchEvent(new CustomEvent("orchat:move-panel", options));
}

/**
 * What was typed in panels whose kernel is gone, by their cell and their place in it: the panel that the cell shows when
 * it runs again takes it over.
 *
 * @type {WeakMap<Element, Map<number, string>>}
 */
const draftsOfCells = new WeakMap();

/**
 * @param {HTMLElement} node A panel.
 * @returns {[Map<number, string> | null, number]} The drafts of its cell, and its place among the cell's panels.
 */
function findDrafts(node) {
  const cell = node.closest(".jp-Cell");
  if (!cell) return [null, 0];
  const drafts = draftsOfCells.get(cell) ?? new Map();
  draftsOfCells.set(cell, drafts);
  return [drafts, [...cell.querySelectorAll(".orchat-panel")].indexOf(node)];
}

/** @param {HTMLElement} node @returns {string} */
function takeDraft(node) {
  const [drafts, place] = findDrafts(node);
  const draft = drafts?.get(place) ?? "";
  drafts?.delete(place);
  return draft;
}
