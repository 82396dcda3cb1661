/**
 * A tool call as a form: its arguments to be edited, approved, rejected or answered. `orchat.jupyter.kernel.forms`
 * defines the data. The kernel validates everything again.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {{name: string, title: string, description: string, always: boolean, json: string, error: string | null,
 *   fields: Field[] | null, omitted?: number, revision?: string, notice?: string}} Description
 * @typedef {{decision: "approve" | "edited" | "reject" | "answer" | "always", arguments?: {json: string},
 *   reason?: string, value?: string, revision?: string}} Decision
 * @typedef {{decision: "reject" | "answer", text: string}} TypedWords A reason, or an answer in the tool's place.
 * @typedef {{revision: string, json: string, fields: Field[] | null, words?: TypedWords}} Draft What was typed into a
 *   form of this revision; without fields as one text.
 */

import { button, element, setText } from "../shared/elements.js";
import { difference, indentJson } from "./argument_difference.js";
import { drawFieldList } from "./form_fields.js";
import { createPreview } from "./call_preview.js";
import { STRINGS } from "./form_strings.js";
import { drawText, newId } from "./form_controls.js";
import { insertLineBreak, isPlainEnter } from "../shared/line_break.js";
import { setReadOnly } from "../shared/shortcut_guard.js";

export { STRINGS };

/**
 * @param {Description} description
 * @param {{strings?: Partial<typeof STRINGS>, render?: import("../shared/markdown_renderer.js").Render,
 *   onChange(values: {json: string, raw?: boolean, words?: TypedWords}, revision?: string): void,
 *   onDecide(decision: Decision): void}} options
 */
export function createForm(description, { strings: words, render, onChange, onDecide }) {
  const strings = { ...STRINGS, ...words };
  const node = element("div", "orchat-form");
  const id = newId();
  node.setAttribute("role", "group");

  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !answerBox.hidden && !event.isComposing) {
      event.stopPropagation();
      closeAnswerBox?.();
    }
    if (!(event.target instanceof HTMLTextAreaElement) || event.defaultPrevented || !isPlainEnter(event)) return;
    event.preventDefault();
    event.stopPropagation();
    insertLineBreak(event.target);
  });

  const body = element("div", "orchat-form-fields");
  const errorList = element("div", "orchat-form-errors");
  errorList.setAttribute("role", "alert");
  errorList.tabIndex = -1;
  errorList.hidden = true;
  const changes = element("div", "orchat-form-difference");
  changes.id = `${id}-difference`;
  changes.hidden = true;
  const preview = createPreview(render, strings.preview);
  const buttons = element("div", "orchat-form-buttons");
  const lockedNote = element("span", "orchat-note", strings.locked);
  lockedNote.id = `${id}-locked`;
  lockedNote.hidden = true;
  const answerBox = element("div", "orchat-form-answer");
  answerBox.hidden = true;
  /** @type {ReturnType<typeof drawFieldList> | null} */
  let list = null;
  const fields = () => list?.entries ?? [];
  /** @type {HTMLTextAreaElement | null} */
  let rawInput = null;
  /** @type {(text: string) => void} */
  let showRaw = () => {};
  /** @type {(() => void) | null} */
  let closeAnswerBox = null;
  /** @type {(() => TypedWords) | null} */
  let typedWords = null;
  let originalJson = ""; // all arguments as the model gave them, in the order of the fields
  let isEdited = false;
  let isBusy = false;
  let isLocked = false;
  let hasDecided = false;

  const approve = button(strings.approve, "orchat-approve orchat-primary", () => {
    decideApproval(isEdited ? "edited" : "approve");
  });
  approve.setAttribute("aria-describedby", changes.id);
  const always = button(strings.always, "orchat-always orchat-outlined", () => decideApproval("always"));
  const reject = button(strings.reject, "orchat-reject orchat-outlined", () => askForText("reject"));
  const answer = button(strings.answer, "orchat-answer orchat-outlined", () => askForText("answer"));
  const rawButton = button(strings.raw, "orchat-edit-json", () => {
    drawRaw(indentJson(values().json));
    rawInput?.focus();
  });
  const reset = button(strings.reset, "orchat-reset", () => { draw(); requestCheck(); approve.focus(); });
  buttons.append(approve, reject, answer, always, rawButton, reset, lockedNote);

  /** Ask the kernel to validate the arguments of the drawn revision, which may be older than the state. */
  const requestCheck = () => {
    const raw = rawInput && description.fields ? { raw: true } : {};
    onChange({ ...values(), ...raw, ...(typedWords ? { words: typedWords() } : {}) }, description.revision);
  };
  const values = () => ({ json: rawInput ? rawInput.value : list?.text() ?? "{}" });

  function onInput() {
    preview.setStale(true);
    updateButtons();
    requestCheck();
  }

  /**
   * Add the tool's name to a button's accessible name, for screen readers.
   *
   * @param {HTMLElement} pressed
   * @param {string} [naming]
   */
  function nameButton(pressed, naming = strings.naming) {
    const words = naming.replace("{action}", () => pressed.textContent ?? "").replace("{tool}", () => description.name);
    pressed.setAttribute("aria-label", words);
  }

  function updateButtons() {
    // While the call streams in, differences are no edits.
    const differs = () => fields().some((each) => each.view.text() !== each.before);
    isEdited = !isLocked && (rawInput ? rawInput.value !== originalJson : differs());
    setText(approve, isEdited ? strings.approveEdited : strings.approve);
    for (const each of [approve, reject]) nameButton(each, strings.namingShort);
    for (const each of [answer, always, rawButton, reset]) nameButton(each);
    always.hidden = !description.always || Boolean(description.error);
    reset.hidden = !isEdited && (rawInput === null || description.fields === null);
    rawButton.hidden = rawInput !== null;
    approve.disabled = isLocked || (Boolean(description.error) && !isEdited);
    showChanges();
  }

  function applyLock() {
    for (const each of node.querySelectorAll("input, textarea, select, button")) {
      const control = /** @type {HTMLInputElement | HTMLTextAreaElement} */ (each);
      if (each.matches("textarea, input:not([type='checkbox'])")) setReadOnly(control, isLocked); // can be copied
      else control.disabled = isLocked;
    }
    node.classList.toggle("orchat-form-locked", isLocked);
    node.setAttribute("aria-busy", String(isLocked));
    if (isLocked) node.setAttribute("aria-describedby", lockedNote.id);
    else node.removeAttribute("aria-describedby");
    lockedNote.hidden = !isLocked;
    updateButtons();
  }

  /** Show the edited fields with their values before and after. */
  function showChanges() {
    changes.hidden = !isEdited;
    if (!isEdited) return;
    const lines = fields().filter((each) => each.view.text() !== each.before).map(({ name, before, view }) =>
      element("li", "", element("code", "", name), ": ", difference(before, view.text(), strings.moreLines)));
    const shown = rawInput ? difference(originalJson, rawInput.value, strings.moreLines) : element("ul", "", ...lines);
    changes.replaceChildren(strings.changed, shown);
  }

  function draw() {
    rawInput = null;
    list = null;
    if (description.fields === null) {
      originalJson = description.json;
      drawRaw(originalJson);
    } else {
      list = drawFieldList(description.fields, strings, onInput);
      originalJson = indentJson(list.text());
      if (description.omitted) {
        list.addNote(element("div", "orchat-note", strings.omitted.replace("{count}", String(description.omitted))));
      }
      const takesNone = !description.fields.length && !description.omitted;
      body.replaceChildren(takesNone ? element("p", "orchat-note", strings.noArguments) : list.node);
    }
    finishDrawing();
  }

  /** Update the drawn fields to another description of the same call, keeping focus and scroll position. */
  function redraw() {
    const next = description.fields;
    if (next === null && rawInput) {
      originalJson = description.json;
      showRaw(originalJson);
    } else if (next === null || rawInput || !list?.entries.length) {
      const focused = body.contains(document.activeElement);
      draw();
      if (focused) (fields()[0]?.view ?? rawInput)?.focus();
    } else {
      list.update(next);
      originalJson = indentJson(list.text());
    }
    finishDrawing();
  }

  function finishDrawing() {
    setErrors(description.error ? [{ path: "", message: description.error }] : []);
    updateButtons();
  }

  /** @param {string} text */
  function drawRaw(text) {
    list = null;
    const kind = { lines: true, code: true, most: 18 };
    const { node: drawn, input, show } = drawText(text, `${id}-raw`, strings, onInput, kind);
    showRaw = show;
    const label = element("label", "orchat-label", strings.arguments);
    label.htmlFor = input.id;
    rawInput = /** @type {HTMLTextAreaElement} */ (input);
    body.replaceChildren(element("div", "orchat-field", label, drawn));
    updateButtons();
  }

  /**
   * @param {"reject" | "answer"} decision
   * @param {string} [text] What was typed in another view.
   */
  function askForText(decision, text) {
    const kind = { lines: true, most: 2 };
    const { node: drawn, input } = drawText(text ?? "", `${id}-more`, strings, requestCheck, kind);
    typedWords = () => ({ decision, text: input.value });
    const label = element("label", "orchat-label", decision === "reject" ? strings.reason : strings.value);
    label.htmlFor = input.id;
    const send = button(decision === "reject" ? strings.reject : strings.send, "orchat-send orchat-primary", () => {
      decide(decision === "reject" ? { decision, reason: input.value } : { decision, value: input.value });
    });
    closeAnswerBox = () => {
      answerBox.hidden = true;
      buttons.hidden = false;
      typedWords = null;
      if (input.value) requestCheck();
      (decision === "reject" ? reject : answer).focus();
    };
    const backButton = button(strings.back, "orchat-back", closeAnswerBox);
    nameButton(send, decision === "reject" ? strings.namingShort : strings.naming);
    nameButton(backButton);
    answerBox.replaceChildren(label, drawn, element("div", "orchat-form-buttons", send, backButton));
    answerBox.hidden = false;
    buttons.hidden = true;
    if (text === undefined) input.focus();
  }

  /** @param {"approve" | "edited" | "always"} decision */
  function decideApproval(decision) {
    const unreadable = isEdited ? fields().find(({ view }) => view.problem()) : null;
    if (unreadable) {
      unreadable.view.showProblem();
      unreadable.view.focus();
    } else decide(isEdited ? { decision, arguments: values() } : { decision });
  }

  /** @param {Decision} decision */
  function decide(decision) {
    if (isBusy) return;
    hasDecided = true;
    onDecide(description.revision === undefined ? decision : { ...decision, revision: description.revision });
  }

  /** @param {{path: string, message: string}[]} errors */
  function setErrors(errors) {
    for (const { name, view } of fields()) {
      view.setError(errors.filter((each) => each.path === name).map((each) => each.message).join("; "));
    }
    const fieldNames = new Set(fields().map((each) => each.name));
    const otherErrors = errors.filter((each) => !fieldNames.has(each.path));
    const errorItems = element("ul", "", ...otherErrors.map((each) => element("li", "", each.message)));
    errorList.hidden = !otherErrors.length;
    rawInput?.setAttribute("aria-invalid", String(otherErrors.length > 0));
    preview.setStale(errors.length > 0);
    // Unchanged errors are not announced again with each key that is pressed.
    if (errorList.querySelector("ul")?.textContent !== errorItems.textContent) {
      errorList.replaceChildren(strings.wrong, errorItems);
    }
    const firstInvalid = fields().find(({ name }) => errors.some(({ path }) => path === name))?.view;
    if (hasDecided && errors.length) (firstInvalid ?? rawInput ?? errorList).focus();
    hasDecided = false;
  }

  const notice = element("div", "orchat-form-notice");
  const title = element("div", "orchat-form-title");
  const note = element("div", "orchat-note");
  node.append(notice, title, note, body, errorList, changes, preview.node, buttons, answerBox);

  /** Draw name, notice, title and description of the call. */
  function drawHead() {
    node.setAttribute("aria-label", `${strings.form}: ${description.name}`);
    setText(notice, description.notice ?? "");
    notice.hidden = !description.notice;
    setText(title, description.title);
    title.hidden = description.title === description.name; // the heading of the call is this name
    setText(note, description.description);
  }

  drawHead();
  draw();
  return {
    node,
    setErrors,
    /** @param {Description} next */
    update(next) {
      if (isEdited || (!isLocked && next.json === description.json)) return;
      description = next;
      drawHead();
      redraw();
      if (isLocked) applyLock();
    },
    /**
     * @param {boolean} value Whether the form is read-only, as while the call streams in.
     * @param {string} [reason]
     */
    setLocked(value, reason = strings.locked) {
      setText(lockedNote, reason);
      if (value === isLocked) return;
      isLocked = value;
      applyLock();
    },
    /**
     * Show what was typed in another view, as edits of what the model gave.
     *
     * @param {Draft} draft
     */
    restore(draft) {
      if (draft.revision !== description.revision) return;
      if (list && draft.fields) {
        const given = new Map(list.entries.map(({ name, before }) => [name, before]));
        // An argument that no schema names has no field where it is not given: it is taken away, and can come back.
        const names = new Set(draft.fields.map(({ name }) => name));
        const missing = (description.fields ?? []).filter(({ name }) => !names.has(name));
        list.update([...draft.fields, ...missing.map((field) => ({ ...field, text: null, start: field.text }))]);
        for (const each of list.entries) each.before = given.get(each.name) ?? null;
      } else drawRaw(draft.json);
      if (draft.words) askForText(draft.words.decision, draft.words.text);
      updateButtons();
    },
    setPreview: preview.set,
    /** @param {boolean} value Whether a decision is being sent; its button keeps the focus. */
    setBusy(value) {
      isBusy = value;
      for (const each of node.querySelectorAll("button")) each.setAttribute("aria-disabled", String(isBusy));
    },
    dispose() { node.remove(); },
  };
}
