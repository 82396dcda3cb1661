/**
 * The composer of a user's message: the text, attached files, Send and Stop. The draft is sent to the kernel, so that
 * it survives a reload of the page, and so that secrets in it are named before it is sent: the kernel takes a message
 * only with the number of the warning that is shown.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { icon, iconButton } from "../extension/static/icons.js";
import { button, element, setText } from "../shared/elements.js";
import { insertLineBreak, isPlainEnter } from "../shared/line_break.js";
import { setReadOnly } from "../shared/shortcut_guard.js";
import { STRINGS } from "./panel_strings.js";
import { createPlaceholderCompletion } from "./placeholder_completion.js";

const DRAFT_DELAY = 300; // milliseconds between the last key and sending the draft
const CHUNK_BYTES = 393_216; // bytes of a file in one message; a multiple of three, for base64
const MAX_BYTES = 20_000_000;

let composerCount = 0;

/**
 * @param {{send: (message: object) => void, announce: (words: string) => void, lastQuestion: () => string,
 *   onSend: () => void}} options ``lastQuestion``: the text of the last user's message.
 */
export function createQuestionComposer({ send, announce, lastQuestion, onSend }) {
  const text = element("textarea", "orchat-text-input");
  text.dir = "auto";
  text.rows = 2;
  text.placeholder = STRINGS.placeholder;
  text.setAttribute("aria-label", STRINGS.question);
  const completion = createPlaceholderCompletion(text, send);
  const fileInput = element("input", "orchat-file-input");
  fileInput.type = "file";
  fileInput.multiple = true;
  fileInput.hidden = true;
  fileInput.setAttribute("aria-label", STRINGS.attach);
  const attach = iconButton("attach", STRINGS.attach, "orchat-attach", () => fileInput.click());
  const sendButton = button(STRINGS.send, "orchat-submit orchat-primary", () => sendQuestion());
  const stopButton = button(STRINGS.stop, "orchat-panel-stop orchat-outlined", () => {
    send({ t: "stop" });
    text.focus(); // the button goes away
  });
  stopButton.prepend(icon("stop"));
  const fileList = element("ul", "orchat-chips");
  fileList.setAttribute("aria-label", STRINGS.files);
  const warningText = element("span", "orchat-warning-text");
  warningText.id = `orchat-warning-${++composerCount}`;
  const asItIsButton = button(STRINGS.sendAsItIs, "orchat-send-as-it-is orchat-outlined", () => {
    sendQuestion(true);
    text.focus(); // the button goes away
  });
  const warning = element("div", "orchat-secret-warning", warningText, asItIsButton);
  warning.hidden = true;
  const cancelEdit = button(STRINGS.cancelEdit, "orchat-cancel-edit orchat-outlined", () => {
    send({ t: "cancel_edit" });
    text.focus(); // the button goes away
  });
  const editing = element("div", "orchat-editing", element("span", "", STRINGS.editing), cancelEdit);
  editing.setAttribute("role", "status");
  editing.hidden = true;
  const buttons = element("div", "orchat-composer-buttons", attach, sendButton, stopButton);
  const node = element(
    "div", "orchat-composer", editing, completion.node, fileList, text, buttons, warning, fileInput,
  );

  /** The addresses of the pictures that were attached in this page. @type {Map<number, string>} */
  const own = new Map();
  let enterBreaksLine = false;
  let draftNumber = -1; // of the draft that was taken over
  let sentEarly = ""; // what was sent before the kernel's first state
  let timer = 0;
  let fileCount = Date.now() % 1_000_000_000;
  /** @type {Fields | null} */
  let fields = null;
  /** @type {import("../shared/kernel_watch.js").KernelLoss | null} */
  let loss = null;

  const canSend = () =>
    Boolean(fields) && !loss && !fields?.running && !fields?.readonly && !fields?.files.some(isUploading);
  const sendDraft = () => {
    clearTimeout(timer);
    send({ t: "draft", text: text.value });
  };

  function sendQuestion(asItIs = false) {
    sentEarly = fields ? "" : text.value;
    const hasContent = text.value.trim() || fields?.files.some(({ error, done }) => !error && done === 1);
    if (!canSend() || !hasContent) return;
    clearTimeout(timer);
    send({ t: "send", text: text.value, warning: fields?.warning?.n ?? null, as_it_is: asItIs });
    onSend();
  }

  function fitHeight() {
    text.style.height = "auto";
    if (text.scrollHeight) text.style.height = `${Math.min(text.scrollHeight + 2, 220)}px`; // else it is hidden
  }
  let fittedWidth = 0;
  const widthObserver = new ResizeObserver(() => {
    if (text.clientWidth === fittedWidth) return;
    fittedWidth = text.clientWidth;
    fitHeight();
  });
  widthObserver.observe(node);

  text.addEventListener("input", () => {
    fitHeight();
    clearTimeout(timer);
    timer = window.setTimeout(sendDraft, DRAFT_DELAY);
  });
  text.addEventListener("keydown", (event) => {
    if (isPlainEnter(event)) {
      event.preventDefault();
      if (event.shiftKey === enterBreaksLine) sendQuestion();
      else insertLineBreak(text);
    } else if (event.key === "Escape" && typeof fields?.editing === "number") {
      event.preventDefault();
      clearTimeout(timer);
      send({ t: "cancel_edit" });
    } else if (event.key === "ArrowUp" && !text.value) {
      const words = lastQuestion();
      if (!words) return;
      event.preventDefault();
      text.value = words;
      fitHeight();
      sendDraft();
    }
  });
  text.addEventListener("blur", () => {
    if (fields && text.value !== fields.draft.text) sendDraft();
  });
  text.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    void addFiles(files);
  });
  fileInput.addEventListener("change", () => {
    if (fileInput.files) void addFiles([...fileInput.files]);
    fileInput.value = "";
  });

  /** @param {Iterable<globalThis.File>} files */
  async function addFiles(files) {
    for (const file of files) {
      const n = ++fileCount;
      const metadata = { t: "attach", n, name: file.name || "pasted.png", size: file.size };
      const isImage = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
      if (isImage) own.set(n, URL.createObjectURL(file));
      if (file.size > MAX_BYTES || !file.size) {
        send({ ...metadata, at: 0, data: "" });
        continue;
      }
      for (let at = 0; at < file.size; at += CHUNK_BYTES) {
        const bytes = new Uint8Array(await file.slice(at, at + CHUNK_BYTES).arrayBuffer());
        send({ ...metadata, at, data: base64(bytes) });
        await new Promise((next) => setTimeout(next));
      }
    }
  }

  return {
    node,
    add: addFiles,
    focus: () => text.focus(),
    /** @param {boolean} enterBreaks */
    setEnterBreaks(enterBreaks) {
      enterBreaksLine = enterBreaks;
      text.title = enterBreaks ? STRINGS.enterBreaks : STRINGS.enterSends;
    },
    /** @param {Fields} next */
    update(next) {
      const typed = fields || next.draft.text ? "" : text.value; // before the kernel's first state
      const early = fields ? "" : sentEarly; // the kernel may have it as its draft by now
      if (next.draft.n !== draftNumber) {
        draftNumber = next.draft.n;
        clearTimeout(timer);
        text.value = typed || next.draft.text;
        fitHeight();
      }
      if (next.files !== fields?.files) {
        fileList.replaceChildren(...next.files.map(createFileChip));
        fileList.hidden = !next.files.length;
        for (const [n, url] of own) {
          if (!fields?.files.some((file) => file.n === n) || next.files.some((file) => file.n === n)) continue;
          URL.revokeObjectURL(url);
          own.delete(n);
        }
        const failedFile = next.files.find(({ n, error }) => error && !fields?.files.some((f) => f.n === n && f.error));
        if (failedFile) announce(failedFile.error);
      }
      editing.hidden = typeof next.editing !== "number";
      if (next.warning?.n !== fields?.warning?.n) {
        setText(warningText, next.warning?.text ?? "");
        warning.hidden = !next.warning;
        setText(sendButton, next.warning ? STRINGS.sendRedacted : STRINGS.send);
        if (next.warning) {
          text.setAttribute("aria-describedby", warningText.id);
          announce(next.warning.text);
        } else text.removeAttribute("aria-describedby");
      }
      const focused = document.activeElement;
      completion.update(next);
      fields = next;
      setReadOnly(text, Boolean(next.readonly));
      updateButtons();
      if (early && text.value === early) sendQuestion();
      else if (typed) sendDraft();
      if ((next.running && focused === sendButton) || (!next.running && focused === stopButton)) text.focus();
    },
    /** @param {import("../shared/kernel_watch.js").KernelLoss | null} next */
    setLoss(next) {
      loss = next;
      if (loss) clearTimeout(timer);
      updateButtons();
    },
    /** The text as it stands. */
    get draft() {
      return text.value;
    },
    /** @param {string} draft What was typed in this page before its kernel was gone; newer than what the kernel kept. */
    restoreDraft(draft) {
      if (!draft || text.value === draft) return;
      text.value = draft;
      fitHeight();
      sendDraft();
    },
    /** @param {string} prompt A question to begin with; its fields are to be read before it is sent. */
    begin(prompt) {
      text.value = prompt;
      fitHeight();
      sendDraft();
      text.focus();
    },
    dispose() {
      clearTimeout(timer);
      widthObserver.disconnect();
      for (const url of own.values()) URL.revokeObjectURL(url);
      completion.dispose();
    },
  };

  function updateButtons() {
    const isRunning = Boolean(fields?.running) && !loss;
    sendButton.hidden = isRunning;
    stopButton.hidden = !isRunning;
    sendButton.disabled = asItIsButton.disabled = !canSend();
    attach.disabled = Boolean(fields?.readonly) || loss !== null;
    sendButton.title = loss?.text ?? "";
  }

  /** @param {import("./panel_reducer.js").File} file */
  function createFileChip(file) {
    const { n, name, kind, size, error, done } = file;
    const label = element("span", "orchat-chip-name");
    const url = own.get(n);
    const about = done < 1 ? `${STRINGS.loading}: ${Math.round(done * 100)} %` : kind;
    setText(label, error || `${name} (${size ? `${about}, ${sizeText(size)}` : about})`);
    label.title = name;
    const removeButton = iconButton("close", `${STRINGS.remove} ${name}`, "orchat-chip-drop", () => {
      send({ t: "unattach", n });
      text.focus();
    });
    const chip = element("li", error ? "orchat-chip orchat-chip-error" : "orchat-chip", label, removeButton);
    if (url && !error) {
      const thumbnail = element("img", "orchat-thumbnail");
      thumbnail.src = url;
      thumbnail.alt = "";
      chip.prepend(thumbnail);
    }
    return chip;
  }
}

/** @param {number} bytes */
function sizeText(bytes) {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** @param {import("./panel_reducer.js").File} file */
const isUploading = ({ error, done }) => !error && done < 1;

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
