/**
 * The settings sheet of a chat: generation parameters, the system prompt, the Enter key, tools and granted tools.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { iconButton } from "../extension/static/icons.js";
import { button, element, setText } from "../shared/elements.js";
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
  let number = Date.now() % 1_000_000_000; // of the settings that were sent
  let answered = number;
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
  const apply = button(STRINGS.apply, "orchat-apply orchat-outlined", () => {
    const value = (/** @type {HTMLInputElement} */ field) => (field.value === "" ? null : Number(field.value));
    const parameters = { temperature: value(temperature), max_tokens: value(maxTokens), effort: effort.value || null };
    send({ t: "parameters", n: ++number, ...parameters });
    send({ t: "system", text: system.value });
  });
  const fieldErrors = {
    temperature: createFieldError(temperature),
    max_tokens: createFieldError(maxTokens),
    effort: createFieldError(effort),
  };

  /** @param {Record<string, string>} errors What is wrong, by field. */
  function showErrors(errors) {
    for (const [name, { show }] of Object.entries(fieldErrors)) show(errors[name] ?? "");
    const wrong = [temperature, maxTokens, effort].find((field) => field.getAttribute("aria-invalid") === "true");
    wrong?.focus();
  }
  const close = iconButton("close", STRINGS.close, "orchat-close", () => onClose());
  const node = element(
    "div",
    "orchat-settings orchat-sheet",
    element("div", "orchat-picker-head", element("strong", "", STRINGS.settings), close),
    element("div", "orchat-numbers", labelled(STRINGS.temperature, temperature, false, fieldErrors.temperature.node),
      labelled(STRINGS.maxTokens, maxTokens, false, fieldErrors.max_tokens.node),
      labelled(STRINGS.effort, effort, false, fieldErrors.effort.node)),
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
      showErrors({});
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
      if (!next.refused || next.refused.n !== number || answered === number) return;
      answered = number;
      showErrors(next.refused.errors);
      if (!Object.keys(next.refused.errors).length) onClose();
    },
  };
}

let errorCount = 0;

/** @param {HTMLElement} field */
function createFieldError(field) {
  const node = element("span", "orchat-field-error");
  node.id = `orchat-setting-error-${++errorCount}`;
  node.setAttribute("role", "alert");
  node.hidden = true;
  return {
    node,
    /** @param {string} words */
    show(words) {
      setText(node, words);
      node.hidden = !words;
      if (words) field.setAttribute("aria-describedby", node.id);
      else field.removeAttribute("aria-describedby");
      field.setAttribute("aria-invalid", String(Boolean(words)));
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
 * @param {HTMLElement} [error]
 */
function labelled(words, field, behind, error) {
  const text = element("span", "", words);
  const label = element("label", behind ? "orchat-check" : "orchat-label", ...(behind ? [field, text] : [text, field]));
  if (!error) return label;
  return element("div", "orchat-setting", label, error);
}
