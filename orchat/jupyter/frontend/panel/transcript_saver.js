/**
 * Keep a panel's transcript in the notebook's document, in place of its widget, which nothing can show without its
 * kernel. Possible only in front ends that give widgets access to their notebook.
 *
 * The document is what is saved: by the page, or by a server that shares it between pages. What a page draws stays as
 * it is, and so does the focus. All pages of a shared document set the same value of a map, which adds nothing up.
 */

const WIDGET = "application/vnd.jupyter.widget-view+json";
const PANEL = "application/vnd.orchat.panel";

/**
 * @param {any} model The widget's.
 * @returns {((id: string, bundle: Record<string, string>) => void) | null} Sets the transcript of a widget's id.
 */
export function createTranscriptSaver(model) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  if (!notebook?.cells) return null;
  return (id, bundle) => {
    for (const cell of notebook.cells) {
      for (const output of cell.ymodel?.get("outputs")?.toArray?.() ?? []) {
        const data = output.get?.("data");
        if ((data?.[PANEL] ?? data?.[WIDGET]?.model_id) !== id) continue;
        if (!data[WIDGET] && Object.entries(bundle).every(([kind, text]) => data[kind] === text)) continue;
        cell.transact(() => output.set("data", { ...bundle, [PANEL]: id }), false);
      }
    }
  };
}
