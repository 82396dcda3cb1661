/**
 * Switches for the tools of a chat: one for each, and one for all of a server. What is off is not offered to the model.
 *
 * @typedef {import("./panel_reducer.js").Fields["tools"]} Groups
 */

import { element } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

/**
 * @param {(off: string[]) => void} onSwitch Called with the names of all tools that are off.
 */
export function createToolSwitches(onSwitch) {
  const list = element("div", "orchat-tool-groups");
  const node = element("div", "orchat-tools", element("span", "", STRINGS.tools), list);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", STRINGS.tools);
  node.hidden = true;
  /** @type {Map<string, HTMLInputElement>} */
  let boxes = new Map();
  /** @type {Set<string>} */
  let opened = new Set();

  function tell() {
    onSwitch([...boxes].filter(([, box]) => !box.checked).map(([name]) => name));
  }

  /** @param {Groups[number]} group */
  function groupNode(group) {
    const label = group.label || STRINGS.ownTools;
    const own = group.tools.map(({ name, on }) => {
      const box = checkbox(on, name, tell);
      boxes.set(name, box);
      return box;
    });
    const all = checkbox(own.every((box) => box.checked), label, () => {
      for (const box of own) box.checked = all.checked;
      tell();
    });
    all.indeterminate = !all.checked && own.some((box) => box.checked);
    const count = `${own.filter((box) => box.checked).length} ${STRINGS.of} ${own.length + group.more}`;
    const items = group.tools.map(({ name, title }, at) => element("li", "",
      element("label", "orchat-check", own[at], element("code", "", name), element("span", "orchat-tool-title", title))));
    if (group.more) items.push(element("li", "", `… ${group.more} ${STRINGS.more}`));
    const details = element("details", "orchat-tool-group",
      element("summary", "", all, element("span", "", label), element("span", "orchat-tool-title", count)),
      element("ul", "orchat-switches", ...items));
    details.open = opened.has(label);
    details.addEventListener("toggle", () => (details.open ? opened.add(label) : opened.delete(label)));
    return details;
  }

  return {
    node,
    /** @param {Groups} groups */
    update(groups) {
      const focused = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.tool : undefined;
      boxes = new Map();
      list.replaceChildren(...groups.map(groupNode));
      node.hidden = !groups.length;
      if (focused === undefined) return;
      for (const box of list.querySelectorAll("input")) if (box.dataset.tool === focused) box.focus();
    },
  };
}

/**
 * @param {boolean} on
 * @param {string} label
 * @param {() => void} changed
 */
function checkbox(on, label, changed) {
  const box = element("input");
  box.type = "checkbox";
  box.checked = on;
  box.dataset.tool = label;
  box.setAttribute("aria-label", label);
  box.addEventListener("change", changed);
  box.addEventListener("click", (event) => event.stopPropagation()); // it stands in a summary, which it must not fold
  return box;
}
