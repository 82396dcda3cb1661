/**
 * Insert a line break in a text field. JupyterLab suppresses the browser's own line breaks in fields inside of cells,
 * where Shift+Enter is a command.
 *
 * @param {HTMLTextAreaElement} field
 */
export function insertLineBreak(field) {
  if (field.readOnly) return;
  field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
  if (field.selectionEnd === field.value.length) field.scrollTop = field.scrollHeight;
}

/**
 * @param {KeyboardEvent} event
 * @returns {boolean} Whether Enter was pressed, alone or with Shift, and not to confirm an input method's word.
 */
export function isPlainEnter(event) {
  return event.key === "Enter" && !event.isComposing && !event.ctrlKey && !event.metaKey && !event.altKey;
}
