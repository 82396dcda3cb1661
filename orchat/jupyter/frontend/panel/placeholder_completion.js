/**
 * The list of variables, columns and attributes that may follow `{` in a question, and of these, errors and cells behind
 * `@`, which become a placeholder. The kernel finds them; arrow keys move, Tab or Enter takes one, Escape closes the list.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { element } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

const DELAY = 80; // milliseconds between the last key and the request
const OPEN_PLACEHOLDER = /\{[^{}\n]{0,200}$/;
const OPEN_MENTION = /(?:^|[\s(])@[\w.[\]"']{0,100}$/;

let listCount = 0;

/**
 * @param {HTMLTextAreaElement} text
 * @param {(message: object) => void} send
 */
export function createPlaceholderCompletion(text, send) {
  const id = `orchat-completions-${++listCount}-${Date.now()}`;
  const node = element("ul", "orchat-completions");
  node.id = id;
  node.setAttribute("role", "listbox");
  node.setAttribute("aria-label", STRINGS.variables);
  node.hidden = true;
  text.setAttribute("aria-autocomplete", "list");
  text.setAttribute("aria-controls", id);

  let timer = 0;
  let requestNumber = 0;
  let activeIndex = 0;
  let fragmentLength = 0;
  let isTaking = false;
  /** @type {Fields["completions"]} */
  let shown;

  const options = () => /** @type {HTMLElement[]} */ ([...node.children]);

  function close() {
    clearTimeout(timer);
    requestNumber += 1;
    node.hidden = true;
    text.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  function activate(at) {
    const all = options();
    activeIndex = (at + all.length) % all.length;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === activeIndex)));
    text.setAttribute("aria-activedescendant", all[activeIndex].id);
    all[activeIndex].scrollIntoView({ block: "nearest" });
  }

  /** @param {string} completion */
  function take(completion) {
    const end = text.selectionStart;
    close();
    text.setRangeText(completion, end - fragmentLength, end, "end");
    if (!shown?.whole && text.value[text.selectionStart] !== "}") text.setRangeText("}", text.selectionStart, text.selectionStart, "start");
    isTaking = true; // what was taken is not offered again: the next Enter sends
    text.dispatchEvent(new Event("input", { bubbles: true }));
    isTaking = false;
    text.focus();
  }

  text.addEventListener("input", () => {
    clearTimeout(timer);
    if (isTaking) return;
    const before = text.value.slice(0, text.selectionStart);
    const end = before.slice(-201);
    if (!OPEN_PLACEHOLDER.test(end) && !OPEN_MENTION.test(end)) {
      if (!node.hidden) close();
      return;
    }
    timer = window.setTimeout(() => {
      send({ t: "complete", before, after: text.value.slice(text.selectionStart), n: ++requestNumber });
    }, DELAY);
  });
  text.addEventListener("blur", close);
  // Before the composer's own keys: while the list is open, Enter takes a name.
  text.addEventListener("keydown", (event) => {
    if (node.hidden || event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) activate(activeIndex + step);
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") {
      take(options()[activeIndex].dataset.completion ?? "");
    } else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });

  return {
    node,
    /** @param {Fields} fields */
    update({ completions }) {
      if (completions === shown || !completions || completions.n !== requestNumber) return;
      shown = completions;
      fragmentLength = completions.length;
      node.replaceChildren(...completions.list.map((completion, i) => {
        const note = element("span", "orchat-completion-note", completions.notes?.[i] ?? "");
        const option = element("li", "orchat-completion", completion, note);
        option.id = `${id}-${i}`;
        option.dataset.completion = completion;
        option.setAttribute("role", "option");
        option.addEventListener("mousedown", (event) => {
          event.preventDefault(); // the text keeps the focus
          take(completion);
        });
        return option;
      }));
      node.hidden = !completions.list.length;
      if (!node.hidden) activate(0);
    },
    dispose: () => clearTimeout(timer),
  };
}
