/**
 * What may be set of a chat: parameters, the system prompt, what Enter does; and the tools that run without asking.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { button, element } from "../shared/elements.js";
import { STRINGS } from "./panel_messages.js";

const EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh"];

/**
 * @param {{send: (message: object) => void, swapped: boolean, swap: (enterBreaks: boolean) => void,
 *   closed: () => void}} options
 */
export function createSettings({ send, swapped, swap, closed }) {
  const temperature = number("0", "2", "0.1");
  const most = number("1", "", "1");
  const effort = element("select", "orchat-select");
  for (const each of EFFORTS) {
    const option = element("option", "", each || STRINGS.usual);
    option.value = each;
    effort.append(option);
  }
  const system = element("textarea", "orchat-system");
  system.rows = 3;
  const enter = element("input");
  enter.type = "checkbox";
  enter.checked = swapped;
  enter.addEventListener("change", () => swap(enter.checked));
  const grants = element("ul", "orchat-grants");
  grants.setAttribute("aria-label", STRINGS.grants);
  const granted = element("div", "orchat-granted-tools", element("span", "", STRINGS.grants), grants);
  const apply = button(STRINGS.apply, "orchat-apply", () => {
    const value = (/** @type {HTMLInputElement} */ field) => (field.value === "" ? null : Number(field.value));
    send({ t: "parameters", temperature: value(temperature), max_tokens: value(most), effort: effort.value || null });
    send({ t: "system", text: system.value });
    closed();
  });
  const close = button(STRINGS.close, "orchat-close", () => closed());
  const node = element(
    "div",
    "orchat-settings orchat-sheet",
    element("div", "orchat-picker-head", element("strong", "", STRINGS.settings), close),
    element("div", "orchat-numbers", label(STRINGS.temperature, temperature), label(STRINGS.maxTokens, most),
      label(STRINGS.effort, effort)),
    label(STRINGS.system, system),
    label(STRINGS.swap, enter, true),
    granted,
    apply,
  );
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", STRINGS.settings);
  node.hidden = true;
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    closed();
  });
  /** @type {Fields | null} */
  let fields = null;

  function fill() {
    if (!fields) return;
    const { parameters } = fields;
    temperature.value = String(parameters.temperature ?? "");
    most.value = String(parameters.max_tokens ?? "");
    effort.value = parameters.effort ?? "";
    system.value = fields.system;
  }

  return {
    node,
    open() {
      fill();
      node.hidden = false;
      temperature.focus();
    },
    close() {
      node.hidden = true;
    },
    /** @param {Fields} next */
    update(next) {
      if (next.grants !== fields?.grants) {
        grants.replaceChildren(...next.grants.map((name) => {
          const revoke = button(STRINGS.revoke, "orchat-revoke-grant", () => send({ t: "revoke", name }));
          revoke.setAttribute("aria-label", `${STRINGS.revoke}: ${name}`);
          return element("li", "", element("code", "", name), " ", revoke);
        }));
        granted.hidden = !next.grants.length;
      }
      fields = next;
    },
  };
}

/**
 * @param {string} min
 * @param {string} max
 * @param {string} step
 */
function number(min, max, step) {
  const field = element("input", "orchat-number");
  field.type = "number";
  Object.assign(field, { min, max, step, placeholder: STRINGS.usual });
  return field;
}

/**
 * @param {string} words
 * @param {HTMLElement} field
 * @param {boolean} [behind]
 */
function label(words, field, behind) {
  const text = element("span", "", words);
  return element("label", behind ? "orchat-check" : "orchat-label", ...(behind ? [field, text] : [text, field]));
}
