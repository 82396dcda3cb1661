/**
 * Code in an answer, live or saved: a frame with buttons that copy it, put it into a new cell, or replace another cell.
 */

import { iconButton, setIcon, setLabel } from "./icons.js";

const STRINGS = { copy: "Copy", copied: "Copied", toCell: "To a new cell" };
const COPIED_TIME = 1500; // milliseconds

/**
 * @typedef {{insert?: (code: string) => void, replace?: (code: string) => void, replaceLabel: string,
 *   announce?: (words: string) => void}} Actions What can be done with code where it stands.
 */

/**
 * Frame each code block, once, and make it scrollable by keyboard.
 *
 * @param {HTMLElement} place
 * @param {Actions} actions
 */
export function frameCode(place, { insert, replace, replaceLabel, announce }) {
  for (const pre of place.querySelectorAll("pre")) {
    if (pre.parentElement?.classList.contains("orchat-code")) continue;
    pre.tabIndex = 0;
    const readCode = () => (pre.textContent ?? "").replace(/\n$/, "");
    const copy = iconButton("copy", STRINGS.copy, "orchat-copy", () => {
      void navigator.clipboard.writeText(pre.textContent ?? "").then(() => {
        setIcon(copy, "done");
        setLabel(copy, STRINGS.copied);
        announce?.(STRINGS.copied);
        setTimeout(() => {
          setIcon(copy, "copy");
          setLabel(copy, STRINGS.copy);
        }, COPIED_TIME);
      }, () => {});
    });
    const bar = document.createElement("div");
    bar.className = "orchat-code-bar";
    bar.append(copy);
    if (insert) bar.append(iconButton("insert", STRINGS.toCell, "orchat-to-cell", () => insert(readCode())));
    if (replace) bar.append(iconButton("replace", replaceLabel, "orchat-replace", () => replace(readCode())));
    const frame = document.createElement("div");
    frame.className = "orchat-code";
    pre.replaceWith(frame);
    frame.append(pre, bar);
  }
}
