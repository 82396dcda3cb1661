/**
 * The settings sheet of a chat: generation parameters, the system prompt, the Enter key, tools and granted tools.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { button, element } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";
import { createToolSwitches } from "./tool_switches.js";

const EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh"];

/**
 * @param {{send: (message: object) => void, enterBreaks: boolean, onEnterChange: (enterBreaks: boolean) => void,
 *   onClose: () => void}} options
 */
export function createChatSettings({ send, enterBreaks, onEnterChange, onClose }) {
  const temperature = numberInput("0", "2", "0.1");
  const maxTokens = numberInput("1", "", "1");
  const effort = element("select", "orchat-select");
  for (const each of EFFORTS) {
    const option = element("option", "", each || STRINGS.usual);
    option.value = each;
    effort.append(option);
  }
  const system = element("textarea", "orchat-system");
  system.rows = 3;
  const enterCheckbox = element("input");
  enterCheckbox.type = "checkbox";
  enterCheckbox.checked = enterBreaks;
  enterCheckbox.addEventListener("change", () => onEnterChange(enterCheckbox.checked));
  const grants = element("ul", "orchat-grants");
  grants.setAttribute("aria-label", STRINGS.grants);
  const grantsSection = element("div", "orchat-granted-tools", element("span", "", STRINGS.grants), grants);
  const switches = createToolSwitches((off) => send({ t: "tools", off }));
  const apply = button(STRINGS.apply, "orchat-apply", () => {
    const value = (/** @type {HTMLInputElement} */ field) => (field.value === "" ? null : Number(field.value));
    const parameters = { temperature: value(temperature), max_tokens: value(maxTokens), effort: effort.value || null };
    send({ t: "parameters", ...parameters });
    send({ t: "system", text: system.value });
    onClose();
  });
  const close = button(STRINGS.close, "orchat-close", () => onClose());
  const node = element(
    "div",
    "orchat-settings orchat-sheet",
    element("div", "orchat-picker-head", element("strong", "", STRINGS.settings), close),
    element("div", "orchat-numbers", labelled(STRINGS.temperature, temperature), labelled(STRINGS.maxTokens, maxTokens),
      labelled(STRINGS.effort, effort)),
    labelled(STRINGS.system, system),
    labelled(STRINGS.swap, enterCheckbox, true),
    switches.node,
    grantsSection,
    apply,
  );
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", STRINGS.settings);
  node.hidden = true;
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onClose();
  });
  /** @type {Fields | null} */
  let fields = null;

  function fillFields() {
    if (!fields) return;
    const { parameters } = fields;
    temperature.value = String(parameters.temperature ?? "");
    maxTokens.value = String(parameters.max_tokens ?? "");
    effort.value = parameters.effort ?? "";
    system.value = fields.system;
  }

  return {
    node,
    open() {
      fillFields();
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
        grantsSection.hidden = !next.grants.length;
      }
      if (next.tools !== fields?.tools) switches.update(next.tools);
      fields = next;
    },
  };
}

/**
 * @param {string} min
 * @param {string} max
 * @param {string} step
 */
function numberInput(min, max, step) {
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
function labelled(words, field, behind) {
  const text = element("span", "", words);
  return element("label", behind ? "orchat-check" : "orchat-label", ...(behind ? [field, text] : [text, field]));
}
