/**
 * Suppress JupyterLab's keyboard shortcuts inside a node: outside of text inputs they would apply to the cell, so that
 * "d d" on a button deletes it and an arrow in a select leaves it. Shortcuts with Ctrl, Alt or Meta stay.
 *
 * @param {HTMLElement} node
 */
export function guardShortcuts(node) {
  /** @param {KeyboardEvent} event */
  const guard = (event) => {
    const target = event.target;
    if (!(target instanceof HTMLElement) || !node.contains(target)) return;
    const isPlain = !event.ctrlKey && !event.altKey && !event.metaKey;
    // Its shortcuts look at the very element that has the focus, and before any listener inside of the page's body.
    target.toggleAttribute("data-lm-suppress-shortcuts", isPlain && !target.matches(":read-write"));
  };
  node.addEventListener("focusin", () => window.addEventListener("keydown", guard, true));
  node.addEventListener("focusout", () => window.removeEventListener("keydown", guard, true));
}

/**
 * Make a text field read-only, or let a person write into it.
 *
 * JupyterLab sees whether one can write into a field when that takes the focus, and else takes its keys as shortcuts: a
 * field that can be written from now on takes the focus anew.
 *
 * @param {HTMLInputElement | HTMLTextAreaElement} field
 * @param {boolean} isReadOnly
 */
export function setReadOnly(field, isReadOnly) {
  const opens = field.readOnly && !isReadOnly;
  field.readOnly = isReadOnly;
  if (!opens || !field.matches(":focus")) return;
  field.blur();
  field.focus({ preventScroll: true });
}
