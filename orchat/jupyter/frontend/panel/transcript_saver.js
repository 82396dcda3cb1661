/**
 * Save a panel's transcript in the notebook in place of its widget, which cannot be shown without its kernel. Possible
 * only in front ends that give widgets access to their notebook.
 */

const WIDGET = "application/vnd.jupyter.widget-view+json";
const PANEL = "application/vnd.orchat.panel+json";
const TRANSCRIPTS = Symbol.for("orchat panels");

/**
 * @param {any} model The widget's.
 * @returns {((id: string, bundle: Record<string, string>) => void) | null} Sets the transcript of a widget's id.
 */
export function registerTranscripts(model) {
  const notebook = model.widget_manager?.context?.model;
  if (typeof notebook?.toJSON !== "function" || !notebook.cells) return null;
  notebook[TRANSCRIPTS] ??= wrapToJSON(notebook);
  /** @type {Map<string, Record<string, string>>} */
  const panels = notebook[TRANSCRIPTS];
  return (id, bundle) => void panels.set(id, bundle);
}

/** @param {any} notebook */
function wrapToJSON(notebook) {
  /** @type {Map<string, Record<string, string>>} */
  const panels = new Map();
  const original = notebook.toJSON;
  notebook.toJSON = function toJSON() {
    const saved = original.call(this);
    for (const { outputs } of saved.cells ?? []) {
      (outputs ?? []).forEach((/** @type {any} */ output, /** @type {number} */ i) => {
        const id = (output?.data?.[WIDGET] ?? output?.data?.[PANEL])?.model_id;
        const bundle = panels.get(id);
        if (bundle) outputs[i] = { ...output, data: { ...bundle, [PANEL]: { model_id: id } } };
      });
    }
    return saved;
  };
  return panels;
}
