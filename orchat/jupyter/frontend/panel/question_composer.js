/**
 * Where a question is written: the text, what goes along, Send and Stop. What is typed is told to the kernel, so that a
 * reloaded page has it again.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { button, element, setText } from "../shared/elements.js";
import { breakLine, isEnter } from "../shared/line_break.js";
import { STRINGS } from "./panel_messages.js";

const PAUSE = 300; // milliseconds between the last key and telling the kernel
const PIECE = 393_216; // bytes of a file in one message; a multiple of three, for base64
const LARGEST = 20_000_000;

/**
 * @param {{send: (message: object) => void, say: (words: string) => void, last: () => string,
 *   sent: () => void}} options ``last``: the question that was asked last.
 */
export function createComposer({ send, say, last, sent }) {
  const text = element("textarea", "orchat-text-input");
  text.rows = 2;
  text.placeholder = STRINGS.placeholder;
  text.setAttribute("aria-label", STRINGS.question);
  const chooser = element("input", "orchat-file-input");
  chooser.type = "file";
  chooser.multiple = true;
  chooser.hidden = true;
  chooser.setAttribute("aria-label", STRINGS.attach);
  const attach = button("+", "orchat-attach", () => chooser.click());
  attach.title = STRINGS.attach;
  attach.setAttribute("aria-label", STRINGS.attach);
  const submit = button(STRINGS.send, "orchat-submit", () => go());
  const stop = button(STRINGS.stop, "orchat-panel-stop", () => {
    send({ t: "stop" });
    text.focus(); // the button goes away
  });
  const chips = element("ul", "orchat-chips");
  chips.setAttribute("aria-label", STRINGS.files);
  const node = element("div", "orchat-composer", chips, attach, text, submit, stop, chooser);

  let swapped = false;
  let number = -1; // of the draft that was taken over
  let timer = 0;
  let count = Date.now() % 1_000_000_000;
  /** @type {Fields | null} */
  let fields = null;

  const can = () => Boolean(fields) && !fields?.running && !fields?.readonly && !fields?.files.some(unfinished);
  const tell = () => {
    clearTimeout(timer);
    send({ t: "draft", text: text.value });
  };

  function go() {
    const something = text.value.trim() || fields?.files.some(({ error, done }) => !error && done === 1);
    if (!can() || !something) return;
    clearTimeout(timer);
    send({ t: "send", text: text.value });
    sent();
  }

  function fit() {
    text.style.height = "auto";
    text.style.height = `${Math.min(text.scrollHeight + 2, 220)}px`;
  }

  text.addEventListener("input", () => {
    fit();
    clearTimeout(timer);
    timer = window.setTimeout(tell, PAUSE);
  });
  text.addEventListener("keydown", (event) => {
    if (isEnter(event)) {
      event.preventDefault();
      if (event.shiftKey === swapped) go();
      else breakLine(text);
    } else if (event.key === "ArrowUp" && !text.value) {
      const words = last();
      if (!words) return;
      event.preventDefault();
      text.value = words;
      fit();
      tell();
    }
  });
  text.addEventListener("blur", () => {
    if (fields && text.value !== fields.draft.text) tell();
  });
  text.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files;
    if (!files?.length) return;
    event.preventDefault();
    void add(files);
  });
  chooser.addEventListener("change", () => {
    if (chooser.files) void add([...chooser.files]);
    chooser.value = "";
  });

  /** @param {Iterable<globalThis.File>} files */
  async function add(files) {
    for (const file of files) {
      const n = ++count;
      const about = { t: "attach", n, name: file.name || "pasted.png", size: file.size };
      if (file.size > LARGEST || !file.size) {
        send({ ...about, at: 0, data: "" });
        continue;
      }
      for (let at = 0; at < file.size; at += PIECE) {
        const bytes = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
        send({ ...about, at, data: base64(bytes) });
        await new Promise((next) => setTimeout(next));
      }
    }
  }

  return {
    node,
    add,
    focus: () => text.focus(),
    /** @param {boolean} enterBreaks */
    swap(enterBreaks) {
      swapped = enterBreaks;
      text.title = enterBreaks ? STRINGS.enterBreaks : STRINGS.enterSends;
    },
    /** @param {Fields} next */
    update(next) {
      if (next.draft.n !== number) {
        number = next.draft.n;
        clearTimeout(timer);
        text.value = next.draft.text;
        fit();
      }
      if (next.files !== fields?.files) {
        chips.replaceChildren(...next.files.map(chip));
        chips.hidden = !next.files.length;
        const wrong = next.files.find(({ n, error }) => error && !fields?.files.some((f) => f.n === n && f.error));
        if (wrong) say(wrong.error);
      }
      const focused = document.activeElement;
      fields = next;
      submit.hidden = next.running;
      stop.hidden = !next.running;
      submit.disabled = !can();
      text.readOnly = Boolean(next.readonly);
      attach.disabled = Boolean(next.readonly);
      if ((next.running && focused === submit) || (!next.running && focused === stop)) text.focus();
    },
    dispose() {
      clearTimeout(timer);
    },
  };

  /** @param {import("./panel_reducer.js").File} file */
  function chip(file) {
    const { n, name, kind, error, done } = file;
    const label = element("span", "orchat-chip-name");
    const about = done < 1 ? `${STRINGS.loading}: ${Math.round(done * 100)} %` : kind;
    setText(label, error || `${name} (${about})`);
    const drop = button("×", "orchat-chip-drop", () => {
      send({ t: "unattach", n });
      text.focus();
    });
    drop.setAttribute("aria-label", `${STRINGS.remove} ${name}`);
    return element("li", error ? "orchat-chip orchat-chip-wrong" : "orchat-chip", label, drop);
  }
}

/** @param {import("./panel_reducer.js").File} file */
const unfinished = ({ error, done }) => !error && done < 1;

/**
 * @param {Uint8Array} bytes
 * @returns {string}
 */
function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}
