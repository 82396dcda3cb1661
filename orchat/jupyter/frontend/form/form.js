/**
 * A tool call as a form: what would run, to be changed, approved, refused or answered. The wire contract stands in
 * `orchat.jupyter.kernel.forms`. Nothing here decides: the kernel checks everything again.
 *
 * @typedef {import("./form_fields.js").Field} Field
 * @typedef {{name: string, title: string, description: string, always: boolean, json: string, error: string | null,
 *   fields: Field[] | null, revision?: string, notice?: string}} Description
 * @typedef {{decision: "approve" | "edited" | "reject" | "answer" | "always", arguments?: {json: string},
 *   reason?: string, value?: string, revision?: string}} Decision
 */

import { button, element, setText } from "../shared/elements.js";
import { difference, indented } from "./argument_difference.js";
import { drawField, objectText, redrawn } from "./form_fields.js";
import { createPreview } from "./call_preview.js";
import { STRINGS } from "./form_messages.js";
import { drawText, newId } from "./form_controls.js";
import { breakLine, isEnter } from "../shared/line_break.js";

export { STRINGS };

/**
 * @param {Description} description
 * @param {{strings?: Partial<typeof STRINGS>, render?: import("../shared/markdown_renderer.js").Render,
 *   onChange(values: {json: string}, revision?: string): void, onDecide(decision: Decision): void}} options
 */
export function createForm(description, { strings: words, render, onChange, onDecide }) {
  const strings = { ...STRINGS, ...words };
  const node = element("div", "orchat-form");
  const id = newId();
  node.setAttribute("role", "group");

  node.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !more.hidden && !event.isComposing) {
      event.stopPropagation();
      back?.();
    }
    if (!(event.target instanceof HTMLTextAreaElement) || event.defaultPrevented || !isEnter(event)) return;
    event.preventDefault();
    event.stopPropagation();
    breakLine(event.target);
  });

  const body = element("div", "orchat-form-fields");
  const errors = element("div", "orchat-form-errors");
  errors.setAttribute("role", "alert");
  errors.tabIndex = -1;
  errors.hidden = true;
  const changes = element("div", "orchat-form-difference");
  changes.id = `${id}-difference`;
  changes.hidden = true;
  const preview = createPreview(render, strings.preview);
  const buttons = element("div", "orchat-form-buttons");
  const hint = element("span", "orchat-note", strings.locked);
  hint.id = `${id}-locked`;
  hint.hidden = true;
  const more = element("div", "orchat-form-more");
  more.hidden = true;
  /** @type {(import("./form_fields.js").Drawn & {name: string, before: string | null})[]} */
  let fields = [];
  /** @type {HTMLTextAreaElement | null} */
  let raw = null;
  /** @type {(text: string) => void} */
  let showRaw = () => {};
  /** @type {(() => void) | null} */
  let back = null;
  let given = ""; // all arguments as the model gave them, in the order of the fields
  let edited = false;
  let busy = false;
  let locked = false;
  let decided = false;

  const approve = button(strings.approve, "orchat-approve", () => approved(edited ? "edited" : "approve"));
  approve.setAttribute("aria-describedby", changes.id);
  const always = button(strings.always, "orchat-always", () => approved("always"));
  const reject = button(strings.reject, "orchat-reject", () => ask("reject", strings.reason));
  const answer = button(strings.answer, "orchat-answer", () => ask("answer", strings.value));
  const toRaw = button(strings.raw, "orchat-raw", () => { drawRaw(indented(values().json)); raw?.focus(); });
  const reset = button(strings.reset, "orchat-reset", () => { draw(); changedTo(); approve.focus(); });
  buttons.append(approve, reject, answer, always, toRaw, reset, hint);

  /** Ask whether what stands here is right; it is said of the form that is drawn, which may be older than the state. */
  const changedTo = () => onChange(values(), description.revision);
  const values = () => ({ json: raw ? raw.value : objectText(fields) });

  function changed() {
    preview.setStale(true);
    refresh();
    changedTo();
  }

  /**
   * Say with a button of which tool it speaks, for whoever hears it alone.
   *
   * @param {HTMLElement} pressed
   * @param {string} [naming]
   */
  function nameButton(pressed, naming = strings.naming) {
    const words = naming.replace("{action}", () => pressed.textContent ?? "").replace("{tool}", () => description.name);
    pressed.setAttribute("aria-label", words);
  }

  function refresh() {
    // What has not been written yet is nobody's change.
    edited = !locked && (raw ? raw.value !== given : fields.some((each) => each.text() !== each.before));
    setText(approve, edited ? strings.approveEdited : strings.approve);
    for (const each of [approve, reject]) nameButton(each, strings.namingShort);
    for (const each of [answer, always, toRaw, reset]) nameButton(each);
    always.hidden = !description.always || Boolean(description.error);
    reset.hidden = !edited && (raw === null || description.fields === null);
    toRaw.hidden = raw !== null;
    approve.disabled = locked || (Boolean(description.error) && !edited);
    showChanges();
  }

  function lock() {
    for (const each of node.querySelectorAll("input, textarea, select, button")) {
      const control = /** @type {HTMLInputElement | HTMLTextAreaElement} */ (each);
      if (each.matches("textarea, input:not([type='checkbox'])")) control.readOnly = locked; // can be copied
      else control.disabled = locked;
    }
    node.classList.toggle("orchat-form-locked", locked);
    node.setAttribute("aria-busy", String(locked));
    if (locked) node.setAttribute("aria-describedby", hint.id);
    else node.removeAttribute("aria-describedby");
    hint.hidden = !locked;
    refresh();
  }

  /** What a person changed, by field: what stood there and what stands there now. */
  function showChanges() {
    changes.hidden = !edited;
    if (!edited) return;
    const lines = fields.filter((each) => each.text() !== each.before).map((each) =>
      element("li", "", element("code", "", each.name), ": ", difference(each.before, each.text(), strings.moreLines)));
    const shown = raw ? difference(given, raw.value, strings.moreLines) : element("ul", "", ...lines);
    changes.replaceChildren(strings.changed, shown);
  }

  function draw() {
    raw = null;
    fields = [];
    if (description.fields === null) {
      given = description.json;
      drawRaw(given);
    } else {
      fields = description.fields.map((each) => known(drawField(each, strings, changed), each));
      given = indented(objectText(fields));
      const drawn = fields.map((each) => each.node);
      body.replaceChildren(...(drawn.length ? drawn : [element("p", "orchat-note", strings.noArguments)]));
    }
    settle();
  }

  /**
   * @param {import("./form_fields.js").Drawn} drawn
   * @param {Field} field
   */
  const known = (drawn, field) => ({ ...drawn, name: field.name, before: field.text });

  /** Draw another description of the same call over what stands there, so that nobody loses their place. */
  function redraw() {
    const next = description.fields;
    if (next === null && raw) {
      given = description.json;
      showRaw(given);
      settle();
      return;
    }
    const others = next === null || next.some((each, at) => at < fields.length && each.name !== fields[at].name);
    if (raw || others || !fields.length) {
      const focused = body.contains(document.activeElement);
      draw();
      if (focused) (fields[0] ?? raw)?.focus();
      return;
    }
    while (fields.length > next.length) fields.pop()?.node.remove();
    fields = next.map((each, at) => {
      if (at < fields.length) return known(redrawn(fields[at], each, strings, changed), each);
      const drawn = drawField(each, strings, changed);
      body.append(drawn.node);
      return known(drawn, each);
    });
    given = indented(objectText(fields));
    settle();
  }

  function settle() {
    setErrors(description.error ? [{ path: "", message: description.error }] : []);
    refresh();
  }

  /** @param {string} text */
  function drawRaw(text) {
    fields = [];
    const kind = { lines: true, code: true, most: 18 };
    const { node: drawn, input, show } = drawText(text, `${id}-raw`, strings, changed, kind);
    showRaw = show;
    const label = element("label", "orchat-label", strings.arguments);
    label.htmlFor = input.id;
    raw = /** @type {HTMLTextAreaElement} */ (input);
    body.replaceChildren(element("div", "orchat-field", label, drawn));
    refresh();
  }

  /**
   * @param {"reject" | "answer"} decision
   * @param {string} question
   */
  function ask(decision, question) {
    const { node: drawn, input } = drawText("", `${id}-more`, strings, () => {}, { lines: true, most: 2 });
    const label = element("label", "orchat-label", question);
    label.htmlFor = input.id;
    const send = button(decision === "reject" ? strings.reject : strings.send, "orchat-send", () => {
      decide(decision === "reject" ? { decision, reason: input.value } : { decision, value: input.value });
    });
    back = () => {
      more.hidden = true;
      buttons.hidden = false;
      (decision === "reject" ? reject : answer).focus();
    };
    const buttonBack = button(strings.back, "orchat-back", back);
    nameButton(send, decision === "reject" ? strings.namingShort : strings.naming);
    nameButton(buttonBack);
    more.replaceChildren(label, drawn, element("div", "orchat-form-buttons", send, buttonBack));
    more.hidden = false;
    buttons.hidden = true;
    input.focus();
  }

  /** @param {"approve" | "edited" | "always"} decision */
  function approved(decision) {
    decide(edited ? { decision, arguments: values() } : { decision });
  }

  /** @param {Decision} decision */
  function decide(decision) {
    if (busy) return;
    decided = true;
    onDecide(description.revision === undefined ? decision : { ...decision, revision: description.revision });
  }

  /** @param {{path: string, message: string}[]} list */
  function setErrors(list) {
    for (const field of fields) {
      field.complain(list.filter((each) => each.path === field.name).map((each) => each.message).join("; "));
    }
    const names = new Set(fields.map((each) => each.name));
    const rest = list.filter((each) => !names.has(each.path));
    const all = element("ul", "", ...rest.map((each) => element("li", "", each.message)));
    errors.hidden = !rest.length;
    raw?.setAttribute("aria-invalid", String(rest.length > 0));
    preview.setStale(list.length > 0);
    // What stands there already is not said again with each key that is pressed.
    if (errors.querySelector("ul")?.textContent !== all.textContent) errors.replaceChildren(strings.wrong, all);
    const first = fields.find((each) => list.some(({ path }) => path === each.name)) ?? raw ?? errors;
    if (decided && list.length) first.focus();
    decided = false;
  }

  const notice = element("div", "orchat-form-notice");
  const title = element("div", "orchat-form-title");
  const about = element("div", "orchat-note");
  node.append(notice, title, about, body, errors, changes, preview.node, buttons, more);

  /** Say what would run: everything here speaks of one description. */
  function drawHead() {
    node.setAttribute("aria-label", `${strings.form}: ${description.name}`);
    setText(notice, description.notice ?? "");
    notice.hidden = !description.notice;
    setText(title, description.title);
    title.hidden = description.title === description.name; // the heading of the call is this name
    setText(about, description.description);
  }

  drawHead();
  draw();
  return {
    node,
    setErrors,
    /** @param {Description} next */
    update(next) {
      if (edited || (!locked && next.json === description.json)) return;
      description = next;
      drawHead();
      redraw();
      if (locked) lock();
    },
    /** @param {boolean} value Whether all can be read and nothing changed: the call is still being written. */
    setLocked(value) {
      if (value === locked) return;
      locked = value;
      lock();
    },
    setPreview: preview.set,
    /** @param {boolean} value While a decision is on its way; its button keeps the focus. */
    setBusy(value) {
      busy = value;
      for (const each of node.querySelectorAll("button")) each.setAttribute("aria-disabled", String(busy));
    },
    dispose() { node.remove(); },
  };
}
