/**
 * The view of a tool call: its streaming arguments, the form for a decision, and its result. The form may be shown from
 * the start: then it is locked until the kernel asks for a decision.
 *
 * @typedef {import("./view_reducer.js").CallItem} CallItem
 * @typedef {typeof import("../form/form.js")} Forms
 */

import { button, element, setText } from "../shared/elements.js";
import { createImage } from "./reasoning_images.js";
import { STRINGS } from "./view_strings.js";

const CHECK_DELAY = 150; // milliseconds between the last edit in a form and its validation

/**
 * Return whether a form is of another call or revision, rather than more of the streaming one.
 *
 * @param {any} next
 * @param {any} last
 */
function isAnotherForm(next, last) {
  return next.name !== last?.name || Boolean(last?.revision && next.revision !== last.revision);
}

/**
 * @param {(message: object) => void} send
 * @param {(words: string) => void} announce
 * @param {Forms | null} forms
 * @param {import("../shared/markdown_renderer.js").Render} render
 */
export function createToolCall(send, announce, forms, render) {
  const name = element("code", "orchat-call-name");
  const status = element("span", "orchat-call-status");
  const progress = element("progress", "orchat-call-progress");
  progress.max = 1;
  const progressText = element("span", "orchat-call-progress-text");
  const head = element("div", "orchat-call-head", name, status, progress, progressText);
  const code = element("code");
  const argumentsNode = element("pre", "orchat-call-arguments", code);
  argumentsNode.tabIndex = 0;
  argumentsNode.setAttribute("aria-label", STRINGS.arguments);
  const formSlot = element("div", "orchat-call-form");
  const resultText = element("pre", "orchat-call-result-text");
  resultText.tabIndex = 0;
  const summary = element("summary", "orchat-call-result-summary");
  const result = element("details", "orchat-call-result orchat-line", summary, resultText);
  const pictures = element("div", "orchat-call-pictures");
  const revoke = button(STRINGS.revoke, "orchat-revoke", () => {
    send({ t: "revoke", name: item?.name });
    revoke.hidden = true;
  });
  const granted = element("div", "orchat-granted", `${STRINGS.granted} `, revoke);
  const node = element("div", "orchat-call", head, argumentsNode, formSlot, granted, result, pictures);
  node.setAttribute("role", "group");

  /** @type {CallItem | null} */
  let item = null;
  /** @type {ReturnType<Forms["createForm"]> | null} */
  let form = null;
  let checkTimer = 0;
  /** @type {import("../shared/kernel_watch.js").KernelLoss | null} */
  let loss = null;
  // Numbers of this view alone: what another one has typed says nothing about the form that is shown here.
  let messageNumber = Math.floor(Math.random() * 2 ** 40) * 2 ** 12;

  /** @param {any} description */
  function openForm(description) {
    if (!forms) return;
    form = forms.createForm(description, {
      strings: forms.STRINGS,
      render,
      onChange(/** @type {any} */ values, /** @type {string | undefined} */ revision) {
        clearTimeout(checkTimer);
        checkTimer = window.setTimeout(() => send({ t: "check", values, revision, n: ++messageNumber }), CHECK_DELAY);
      },
      onDecide(/** @type {any} */ decision) {
        clearTimeout(checkTimer);
        form?.setBusy(true);
        send({ ...decision, t: "decide", n: ++messageNumber });
      },
    });
    formSlot.replaceChildren(form.node);
    if (item?.draft) form.restore(item.draft);
  }

  /** Lock the form while no decision can be taken; what was typed stays and can be copied. */
  function lockForm() {
    form?.setLocked(loss !== null || item?.status !== "asking", loss ? STRINGS.noKernel : undefined);
  }

  /** @param {CallItem["progress"]} told */
  function showProgress(told) {
    const part = told?.part ?? null;
    progress.hidden = part === null;
    if (part !== null) progress.value = part;
    progressText.hidden = !told?.text;
    setText(progressText, told?.text ?? "");
    progress.setAttribute("aria-label", told?.text || STRINGS.progress);
  }

  /** @param {{type: string, data: string}[]} drawn */
  function showPictures(drawn) {
    pictures.replaceChildren(...drawn.map((each) => {
      const image = createImage();
      image.update({ kind: "picture", ...each });
      return image.node;
    }));
  }

  function closeForm() {
    clearTimeout(checkTimer);
    const hadFocus = formSlot.contains(document.activeElement);
    form?.dispose();
    form = null;
    formSlot.replaceChildren();
    if (hadFocus) {
      node.tabIndex = -1;
      node.focus();
    }
  }

  return {
    node,
    /** @param {CallItem} next */
    update(next) {
      const previous = item;
      item = next;
      // Where there is a form, the heading is of the same revision: both show the call that would run.
      const toolName = next.form?.name || next.name || STRINGS.nameless;
      setText(name, toolName);
      node.setAttribute("aria-label", `${STRINGS.call} ${toolName}`);
      node.dataset.status = next.status;
      setText(status, STRINGS.status[next.status] ?? "");
      showProgress(next.status === "running" ? next.progress : null);
      const isStreaming = ["writing", "cut", "twice"].includes(next.status);
      setText(code, isStreaming ? next.args : next.text ?? next.args);
      argumentsNode.hidden = Boolean(next.form && forms) || !code.textContent;
      granted.hidden = !next.granted;
      result.hidden = !next.result;
      setText(resultText, next.result ?? "");
      if (next.status !== previous?.status) result.open = next.status === "running"; // what it prints meanwhile is seen
      if (next.pictures !== previous?.pictures) showPictures(next.pictures ?? []);
      if (!next.line) setText(summary, STRINGS.output);
      if (next.line && next.line !== previous?.line) {
        const rest = next.line.startsWith(next.name) ? next.line.slice(next.name.length) : next.line;
        summary.replaceChildren(...(rest === next.line ? [] : [element("strong", "", next.name)]), rest);
        resultText.before(argumentsNode); // from now on all of it is one line, until that is opened
      }
      result.classList.toggle("orchat-line-failed", next.status === "failed");
      node.classList.toggle("orchat-call-ended", Boolean(next.line) && !next.form);
      const previousForm = form;
      if (next.form !== previous?.form) {
        if (!next.form) closeForm();
        else if (form && !isAnotherForm(next.form, previous?.form)) form.update(next.form);
        else {
          closeForm();
          openForm(next.form);
        }
      }
      lockForm();
      // Errors of an earlier validation would point at values that have been corrected.
      const isOfThisForm = form !== previousForm || !next.reply || next.reply === messageNumber;
      if (isOfThisForm && next.preview !== previous?.preview) form?.setPreview(next.preview ?? null);
      if (next.errors !== previous?.errors) {
        form?.setBusy(false);
        if (isOfThisForm) form?.setErrors(next.errors ?? []);
      }
      if (next.status === "asking" && previous?.status !== "asking") announce(`${toolName} ${STRINGS.asks}`);
      if (next.form?.notice && next.form.notice !== previous?.form?.notice) announce(next.form.notice);
    },
    /** @param {import("../shared/kernel_watch.js").KernelLoss | null} next */
    setLoss(next) {
      loss = next;
      clearTimeout(checkTimer);
      lockForm();
    },
    dispose: closeForm,
  };
}
