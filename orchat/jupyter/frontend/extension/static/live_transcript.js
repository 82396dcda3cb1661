/**
 * What has arrived of a turn in a live view, kept in the notebook's document: a file that is saved meanwhile shows it
 * without a kernel.
 */

const VIEW = "application/vnd.orchat.view";
const EVENT = "orchat:transcript"; // by which a live view is asked (`view/view.js`)

/** What a live view's element hears when the view is closed. */
export const CLOSE_EVENT = "orchat:view-closed";

/**
 * @param {Element | null} turn A live view's element, even one that has just been removed.
 * @returns {Record<string, string> | null} A MIME bundle; null where nothing has arrived.
 */
export function readTranscript(turn) {
  const detail = { text: "" };
  turn?.dispatchEvent(new CustomEvent(EVENT, { detail }));
  return detail.text ? { "text/markdown": detail.text, "text/plain": detail.text } : null;
}

/**
 * Set the transcript in all outputs that name a widget, copies included. What the page draws stays as it is.
 *
 * @param {any} notebook A notebook panel.
 * @param {string} name The widget's id.
 * @param {Record<string, string> | null} bundle
 */
export function saveTranscript(notebook, name, bundle) {
  if (!bundle) return;
  for (const cell of notebook.content.model?.sharedModel.cells ?? []) {
    for (const output of cell.ymodel?.get("outputs")?.toArray?.() ?? []) {
      const data = output.get?.("data");
      if (data?.[VIEW] !== name || data["text/markdown"] === bundle["text/markdown"]) continue;
      cell.transact(() => output.set("data", { ...data, ...bundle }), false);
    }
  }
}
