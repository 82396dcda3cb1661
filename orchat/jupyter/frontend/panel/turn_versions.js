/**
 * The switch between the versions of a turn, ``‹ 1/2 ›``, and the one that shows them side by side.
 *
 * @typedef {import("./panel_reducer.js").Turn} Turn
 */

import { iconButton } from "../extension/static/icons.js";
import { button, element, setText } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

/** @param {{show(n: number): void, compare(on: boolean): void}} options ``n``: the version, from 0. */
export function createVersions({ show, compare }) {
  let shown = 0;
  let count = 0;
  let isBusy = false;
  const earlier = iconButton("previous", STRINGS.earlierVersion, "orchat-earlier-version", () => show(shown - 1));
  const later = iconButton("next", STRINGS.laterVersion, "orchat-later-version", () => show(shown + 1));
  const position = element("span", "orchat-version-position");
  const beside = button(STRINGS.compare, "orchat-compare", () => {
    compare(beside.getAttribute("aria-pressed") !== "true");
  });
  const node = element("span", "orchat-versions", earlier, position, later, beside);
  node.hidden = true;

  function draw() {
    node.hidden = count < 2;
    setText(position, `${shown + 1}/${count}`);
    position.setAttribute("aria-label", `${STRINGS.version} ${shown + 1} ${STRINGS.of} ${count}`);
    earlier.disabled = isBusy || shown === 0;
    later.disabled = isBusy || shown >= count - 1;
    beside.disabled = isBusy;
  }

  return {
    node,
    /** @param {Turn} turn */
    update({ v, o }) {
      [shown, count] = v ?? [0, 0];
      beside.setAttribute("aria-pressed", String(Boolean(o)));
      draw();
    },
    /** @param {boolean} next */
    setBusy(next) {
      if (next === isBusy) return;
      isBusy = next;
      draw();
    },
    /** @param {number} n The version that is shown now. */
    focus(n) {
      (n > 0 && later.disabled ? earlier : later).focus();
    },
  };
}
