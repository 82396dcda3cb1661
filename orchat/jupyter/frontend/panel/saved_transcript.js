/**
 * Keeps a saved notebook readable: where a page would save the panel's widget, which nobody can show without its
 * kernel, the transcript is saved instead. Only front ends that show their notebook to widgets allow this.
 */

const WIDGET = "application/vnd.jupyter.widget-view+json";
const PANEL = "application/vnd.orchat.panel+json";
const PLACE = Symbol.for("orchat panels");

/**
 * @param {any} model The widget's.
 * @returns {((id: string, bundle: Record<string, string>) => void) | null} To be told of a widget's newest transcript.
 */
export function keepReadable(model) {
  const notebook = model.widget_manager?.context?.model;
  if (typeof notebook?.toJSON !== "function" || !notebook.cells) return null;
  notebook[PLACE] ??= wrap(notebook);
  /** @type {Map<string, Record<string, string>>} */
  const panels = notebook[PLACE];
  return (id, bundle) => void panels.set(id, bundle);
}

/** @param {any} notebook */
function wrap(notebook) {
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
