/**
 * What a chat without a turn shows: questions to begin with, and what can be done here that nobody would guess.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { button, element } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

/** @param {(prompt: string) => void} onChoose */
export function createStartPage(onChoose) {
  const prompts = element("ul", "orchat-prompts");
  prompts.setAttribute("aria-label", STRINGS.prompts);
  const node = element(
    "div", "orchat-empty", element("p", "orchat-empty-title", STRINGS.empty), prompts,
    element("p", "orchat-hint", STRINGS.emptyHint),
  );
  /** @type {Fields["prompts"]} */
  let shown;
  return {
    node,
    /** @param {Fields} fields */
    update(fields) {
      if (fields.prompts === shown) return;
      shown = fields.prompts;
      prompts.replaceChildren(...(shown ?? []).map((prompt) =>
        element("li", "", button(prompt, "orchat-prompt orchat-outlined", () => onChoose(prompt)))));
      prompts.hidden = !shown?.length;
    },
  };
}
