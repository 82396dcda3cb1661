/**
 * A menu behind a button with three dots: what is wanted seldom. Arrow keys move, Escape closes it.
 */

import { iconButton } from "../extension/static/icons.js";
import { element } from "../shared/elements.js";

/**
 * @param {string} label
 * @param {HTMLButtonElement[]} items Buttons, each with its own action.
 */
export function createOverflowMenu(label, items) {
  const opener = iconButton("more", label, "orchat-menu-button", () => setOpen(menu.hidden));
  opener.setAttribute("aria-haspopup", "menu");
  const menu = element("div", "orchat-menu", ...items);
  menu.setAttribute("role", "menu");
  menu.setAttribute("aria-label", label);
  for (const item of items) {
    item.setAttribute("role", "menuitem");
    item.tabIndex = -1;
    item.addEventListener("click", () => {
      setOpen(false);
      if (!opener.disabled) opener.focus();
    });
  }
  const node = element("div", "orchat-menu-place", opener, menu);

  /** @param {boolean} isOpen */
  function setOpen(isOpen) {
    menu.hidden = !isOpen;
    opener.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) usable()[0]?.focus();
  }
  const usable = () => items.filter((item) => !item.hidden && !item.disabled);
  setOpen(false);

  node.addEventListener("keydown", (event) => {
    const all = usable();
    const at = all.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (next !== undefined && !menu.hidden) all.at(next % all.length)?.focus();
    else if (event.key === "Escape" && !menu.hidden) {
      setOpen(false);
      opener.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  node.addEventListener("focusout", (event) => {
    if (!node.contains(/** @type {Node | null} */ (event.relatedTarget))) setOpen(false);
  });
  return {
    node,
    /** @param {boolean} isDisabled */
    setDisabled(isDisabled) {
      opener.disabled = isDisabled;
      if (isDisabled) setOpen(false);
    },
  };
}
