/**
 * Keep JupyterLab's keys away from a node: they are a cell's own wherever no text can be typed, and "d d" on a button
 * would delete the cell, an arrow in a choice leave it. With Ctrl, Alt or Meta they stay what they are.
 *
 * @param {HTMLElement} node
 */
export function keepKeys(node) {
  /** @param {KeyboardEvent} event */
  const keep = (event) => {
    const at = event.target;
    if (!(at instanceof HTMLElement) || !node.contains(at)) return;
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey;
    // Its shortcuts look at the very element that has the focus, and before any listener inside of the page's body.
    at.toggleAttribute("data-lm-suppress-shortcuts", plain && !at.matches(":read-write"));
  };
  node.addEventListener("focusin", () => window.addEventListener("keydown", keep, true));
  node.addEventListener("focusout", () => window.removeEventListener("keydown", keep, true));
}
