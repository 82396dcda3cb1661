/**
 * Keep a panel's transcript in the notebook's document, in place of its widget, which nothing can show without its
 * kernel. Possible only in front ends that give widgets access to their notebook.
 *
 * The document is what is saved: by the page, or by a server that shares it between pages. What a page draws stays as
 * it is, and so does the focus. All pages of a shared document set the same value of a map, which adds nothing up.
 */

const WIDGET = "application/vnd.jupyter.widget-view+json";
const PANEL = "application/vnd.orchat.panel";
const NOTEBOOKS_EVENT = "orchat:open-notebooks"; // asks the extension (`saved_widget_renderer.js`)

/**
 * @param {any} model The widget's.
 * @returns {((id: string, bundle: Record<string, string>) => void) | null} Sets the transcript of a widget's id.
 */
export function createTranscriptSaver(model) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  if (!notebook?.cells) return null;
  return (id, bundle) => {
    for (const each of listNotebooks(notebook)) setTranscript(each, id, bundle);
  };
}

/**
 * List the notebooks that may show a widget: of several on one kernel, the manager of widgets knows the first only.
 *
 * @param {any} notebook @returns {Set<any>}
 */
function listNotebooks(notebook) {
  const detail = { notebooks: [notebook] };
  document.dispatchEvent(new CustomEvent(NOTEBOOKS_EVENT, { detail }));
  return new Set(detail.notebooks);
}

/** @param {any} notebook @param {string} id @param {Record<string, string>} bundle */
function setTranscript(notebook, id, bundle) {
  for (const cell of notebook.cells) {
    for (const output of cell.ymodel?.get("outputs")?.toArray?.() ?? []) {
      const data = output.get?.("data");
      if ((data?.[PANEL] ?? data?.[WIDGET]?.model_id) !== id) continue;
      if (!data[WIDGET] && Object.entries(bundle).every(([kind, text]) => data[kind] === text)) continue;
      cell.transact(() => output.set("data", { ...bundle, [PANEL]: id }), false);
    }
  }
}
