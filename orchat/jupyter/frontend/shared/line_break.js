/**
 * Break the line in a text field. JupyterLab takes the browser's own line breaks away from fields inside of cells, for
 * Shift+Enter is a command there.
 *
 * @param {HTMLTextAreaElement} field
 */
export function breakLine(field) {
  if (field.readOnly) return;
  field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (field.selectionEnd === field.value.length) field.scrollTop = field.scrollHeight;
}

/**
 * @param {KeyboardEvent} event
 * @returns {boolean} Whether Enter was pressed, by itself or with Shift, and not to choose a word that is composed.
 */
export function isEnter(event) {
  return event.key === "Enter" && !event.isComposing && !event.ctrlKey && !event.metaKey && !event.altKey;
}
