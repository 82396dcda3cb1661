/**
 * A tool call: its arguments while they arrive, the form in which a person decides about it, and what came of it. The
 * form may be there from the start: then it is locked until the kernel asks.
 *
 * @typedef {import("./view_reducer.js").CallItem} CallItem
 * @typedef {typeof import("../form/form.js")} Forms
 */

import { button, element, setText } from "../shared/elements.js";
import { STRINGS } from "./view_messages.js";

const PAUSE = 150; // milliseconds between the last change in a form and the question whether it is right

/**
 * Whether a form is another one, rather than the one that is shown with more of it written.
 *
 * @param {any} next
 * @param {any} last
 */
function isAnother(next, last) {
  return next.name !== last?.name || Boolean(last?.revision && next.revision !== last.revision);
}

/**
 * @param {(message: object) => void} send
 * @param {(words: string) => void} say
 * @param {Forms | null} forms
 * @param {import("../shared/markdown_renderer.js").Render} render
 */
export function createCall(send, say, forms, render) {
  const name = element("code", "orchat-call-name");
  const status = element("span", "orchat-call-status");
  const head = element("div", "orchat-call-head", name, status);
  const code = element("code");
  const args = element("pre", "orchat-call-arguments", code);
  args.tabIndex = 0;
  args.setAttribute("aria-label", STRINGS.arguments);
  const place = element("div", "orchat-call-form");
  const came = element("pre", "orchat-call-result-text");
  came.tabIndex = 0;
  const summary = element("summary", "orchat-call-peek");
  const result = element("details", "orchat-call-result", summary, came);
  const revoke = button(STRINGS.revoke, "orchat-revoke", () => {
    send({ t: "revoke", name: item?.name });
    revoke.hidden = true;
  });
  const granted = element("div", "orchat-granted", `${STRINGS.granted} `, revoke);
  const node = element("div", "orchat-call", head, args, place, granted, result);
  node.setAttribute("role", "group");

  /** @type {CallItem | null} */
  let item = null;
  /** @type {ReturnType<Forms["createForm"]> | null} */
  let form = null;
  let checking = 0;
  let number = 0;

  /** @param {any} description */
  function open(description) {
    if (!forms) return;
    form = forms.createForm(description, {
      strings: forms.STRINGS,
      render,
      onChange(/** @type {any} */ values, /** @type {string | undefined} */ revision) {
        clearTimeout(checking);
        checking = window.setTimeout(() => send({ t: "check", values, revision, n: ++number }), PAUSE);
      },
      onDecide(/** @type {any} */ decision) {
        clearTimeout(checking);
        form?.setBusy(true);
        send({ ...decision, t: "decide", n: ++number });
      },
    });
    place.replaceChildren(form.node);
  }

  function close() {
    clearTimeout(checking);
    const focused = place.contains(document.activeElement);
    form?.dispose();
    form = null;
    place.replaceChildren();
    if (focused) {
      node.tabIndex = -1;
      node.focus();
    }
  }

  return {
    node,
    /** @param {CallItem} next */
    update(next) {
      const last = item;
      item = next;
      // Where there is a form, it is of one piece with what stands above it: both are of the call that would run.
      const tool = next.form?.name || next.name || STRINGS.nameless;
      setText(name, tool);
      node.setAttribute("aria-label", `${STRINGS.call} ${tool}`);
      node.dataset.status = next.status;
      setText(status, STRINGS.status[next.status] ?? "");
      const isWritten = ["writing", "cut", "twice"].includes(next.status);
      setText(code, isWritten ? next.args : next.text ?? next.args);
      args.hidden = Boolean(next.form && forms) || !code.textContent;
      granted.hidden = !next.granted;
      result.hidden = !next.result;
      setText(came, next.result ?? "");
      setText(summary, (next.result ?? "").slice(0, 120));
      const before = form;
      if (next.form !== last?.form) {
        if (!next.form) close();
        else if (form && !isAnother(next.form, last?.form)) form.update(next.form);
        else {
          close();
          open(next.form);
        }
      }
      form?.setLocked(next.status !== "asking");
      if (next.preview !== last?.preview) form?.setPreview(next.preview ?? null);
      // Errors that answer an earlier question would point at what has been corrected.
      if (form && next.errors !== last?.errors && (form !== before || (next.reply ?? 0) >= number)) {
        form.setBusy(false);
        form.setErrors(next.errors ?? []);
      }
      if (next.status === "asking" && last?.status !== "asking") say(`${tool} ${STRINGS.asks}`);
      if (next.form?.notice && next.form.notice !== last?.form?.notice) say(next.form.notice);
    },
    dispose: close,
  };
}
