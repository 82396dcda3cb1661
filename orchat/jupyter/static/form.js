/**
 * A tool call as a form: what would run, to be changed, approved, refused or answered. The wire contract stands in
 * `orchat.jupyter.forms`. Nothing here decides: the kernel checks everything again.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {{name: string, title: string, description: string, always: boolean, json: string, error: string | null,
 *   fields: Field[] | null}} Description
 * @typedef {{decision: "approve" | "edited" | "reject" | "answer" | "always", arguments?: {json: string},
 *   reason?: string, value?: string}} Decision
 */

import { button, element } from "./elements.js";
import { drawField, objectText } from "./form_fields.js";
import { breakLine, isEnter } from "./lines.js";

/** Every word that a form shows by itself. */
export const STRINGS = {
  form: "A tool call that waits for your decision",
  approve: "Approve",
  approveEdited: "Approve edited",
  reject: "Reject",
  answer: "Answer instead",
  always: "Always for this tool",
  reset: "Undo my changes",
  raw: "Edit as JSON",
  reason: "Why not? The model is told.",
  value: "The answer in the tool's place",
  send: "Send",
  back: "Back",
  changed: "You changed:",
  arguments: "Arguments as JSON",
  noArguments: "It takes no arguments.",
  required: "required",
  give: "give it",
  none: "none",
  item: "Item",
  add: "Add",
  remove: "Remove this item",
  up: "Move this item up",
  variant: "Kind of value",
  wrong: "This does not fit yet:",
};

let count = 0;

/**
 * @param {Description} description
 * @param {{strings?: Partial<typeof STRINGS>, onChange(values: {json: string}): void,
 *   onDecide(decision: Decision): void}} options
 */
export function createForm(description, { strings: given, onChange, onDecide }) {
  const strings = { ...STRINGS, ...given };
  const node = element("div", "orchat-form");
  const id = `orchat-form-${++count}`;
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", `${strings.form}: ${description.name}`);

  node.addEventListener("keydown", (event) => {
    if (!(event.target instanceof HTMLTextAreaElement) || event.defaultPrevented || !isEnter(event)) return;
    event.preventDefault();
    event.stopPropagation();
    breakLine(event.target);
  });

  const body = element("div", "orchat-form-fields");
  const errors = element("div", "orchat-form-errors");
  errors.setAttribute("role", "alert");
  errors.hidden = true;
  const difference = element("div", "orchat-form-difference");
  difference.hidden = true;
  const buttons = element("div", "orchat-form-buttons");
  const more = element("div", "orchat-form-more");
  more.hidden = true;
  /** @type {{name: string, text(): string | null, complain(message: string): void, focus(): void}[]} */
  let fields = [];
  /** @type {HTMLTextAreaElement | null} */
  let raw = null;
  let edited = false;
  let locked = false;
  let busy = false;

  const approve = button(strings.approve, "orchat-approve", () => decide(edited ? "edited" : "approve"));
  const always = button(strings.always, "orchat-always", () => decide("always"));
  const reject = button(strings.reject, "orchat-reject", () => ask("reject", strings.reason));
  const answer = button(strings.answer, "orchat-answer", () => ask("answer", strings.value));
  const toRaw = button(strings.raw, "orchat-raw", () => { drawRaw(values().json); raw?.focus(); });
  const reset = button(strings.reset, "orchat-reset", () => { draw(); onChange(values()); approve.focus(); });
  buttons.append(approve, reject, answer, always, toRaw, reset);

  const values = () => ({ json: raw ? raw.value : objectText(fields) });

  function changed() {
    edited = true;
    refresh();
    onChange(values());
  }

  function refresh() {
    approve.textContent = edited ? strings.approveEdited : strings.approve;
    always.hidden = !description.always || Boolean(description.error);
    reset.hidden = !edited;
    toRaw.hidden = raw !== null;
    for (const each of buttons.querySelectorAll("button")) each.disabled = busy || locked;
    if (description.error && !edited) approve.disabled = true;
    showDifference();
  }

  /** What a person changed, by field: what stood there and what stands there now. */
  function showDifference() {
    const before = new Map((description.fields ?? []).map((each) => [each.name, each.text]));
    const lines = raw ? [] : fields.filter((each) => each.text() !== (before.get(each.name) ?? null)).map((each) =>
      element("li", "", element("code", "", each.name), ": ", element("del", "", short(before.get(each.name))), " → ",
        element("ins", "", short(each.text()))));
    difference.hidden = !edited || !lines.length;
    difference.replaceChildren(strings.changed, element("ul", "", ...lines));
  }

  function draw() {
    edited = false;
    raw = null;
    fields = [];
    if (description.fields === null) drawRaw(description.json);
    else {
      fields = description.fields.map((each) => ({ ...drawField(each, strings, changed), name: each.name }));
      const drawn = /** @type {any[]} */ (fields).map((each) => each.node);
      body.replaceChildren(...(drawn.length ? drawn : [element("p", "orchat-note", strings.noArguments)]));
    }
    setErrors(description.error ? [{ path: "", message: description.error }] : []);
    refresh();
  }

  /** @param {string} text */
  function drawRaw(text) {
    fields = [];
    const input = element("textarea", "orchat-code-input");
    input.id = `${id}-raw`;
    input.value = text;
    input.spellcheck = false;
    input.rows = Math.min(18, Math.max(4, text.split("\n").length + 1));
    input.addEventListener("input", changed);
    const label = element("label", "orchat-label", strings.arguments);
    label.htmlFor = input.id;
    raw = input;
    body.replaceChildren(element("div", "orchat-field", label, input));
    refresh();
  }

  /**
   * @param {"reject" | "answer"} decision
   * @param {string} words
   */
  function ask(decision, words) {
    const input = element("textarea");
    input.id = `${id}-more`;
    input.rows = 2;
    const label = element("label", "orchat-label", words);
    label.htmlFor = input.id;
    const close = () => { more.hidden = true; buttons.hidden = false; };
    const send = button(decision === "reject" ? strings.reject : strings.send, "orchat-send", () => {
      onDecide(decision === "reject" ? { decision, reason: input.value } : { decision, value: input.value });
    });
    const back = button(strings.back, "orchat-back", () => {
      close();
      (decision === "reject" ? reject : answer).focus();
    });
    more.replaceChildren(label, input, element("div", "orchat-form-buttons", send, back));
    more.hidden = false;
    buttons.hidden = true;
    input.focus();
  }

  /** @param {"approve" | "edited" | "always"} decision */
  function decide(decision) {
    onDecide(edited ? { decision, arguments: values() } : { decision });
  }

  /** @param {{path: string, message: string}[]} list */
  function setErrors(list) {
    for (const field of fields) {
      field.complain(list.filter((each) => each.path === field.name).map((each) => each.message).join("; "));
    }
    const names = new Set(fields.map((each) => each.name));
    const rest = list.filter((each) => !names.has(each.path));
    errors.hidden = !rest.length;
    errors.replaceChildren(
      strings.wrong, element("ul", "", ...rest.map((each) => element("li", "", each.message))));
  }

  node.append(
    element("div", "orchat-form-title", description.title), element("div", "orchat-note", description.description),
    body, errors, difference, buttons, more);
  draw();
  return {
    node,
    setErrors,
    /** @param {Description} next */
    update(next) {
      if (next.json === description.json || edited) return;
      description = next;
      draw();
    },
    /** @param {boolean} value */
    setLocked(value) { locked = value; refresh(); },
    /** @param {boolean} value */
    setBusy(value) {
      busy = value;
      for (const each of more.querySelectorAll("button")) each.disabled = busy;
      refresh();
    },
    focus() { (fields[0] ?? raw ?? approve).focus(); },
    dispose() { node.remove(); },
  };
}

/** @param {string | null | undefined} text */
function short(text) {
  const shown = text ?? "–";
  return shown.length > 120 ? `${shown.slice(0, 119)}…` : shown;
}
