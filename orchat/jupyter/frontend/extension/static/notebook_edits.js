/**
 * The operations of the notebook tools: read all cells, change, insert and delete one, place its outputs. They go
 * through the page's shared model, so that the editor's own undo takes them back; no file is written and no cell is run.
 *
 * Each change says which source it expects, so that it changes only what a person was shown.
 *
 * @typedef {import("./bridge_operations.js").Answer} Answer
 */

import { NO_SUCH_CELL, findCell, listCells } from "./bridge_operations.js";

const READABLE_TYPES = ["text/plain", "text/markdown", "image/png", "image/jpeg"];
const MAX_CHARACTERS = 6_000_000; // a Jupyter server takes 10 MB in a message

/** @param {unknown} text @returns {string} Multiline text of a notebook file may be a list. */
const joined = (text) => (Array.isArray(text) ? text.join("") : String(text ?? ""));

/** @param {any} output @returns {string} */
function outputKind({ output_type, data = {} }) {
  if (output_type === "stream" || output_type === "error") return output_type;
  return Object.keys(data).some((type) => type.startsWith("image/")) ? "picture" : "display";
}

/** @param {any} output @returns {object} */
function readableOutput({ output_type, name, text, ename, evalue, traceback, data = {} }) {
  if (output_type === "stream") return { output_type, name, text: joined(text) };
  if (output_type === "error") return { output_type, ename, evalue, traceback };
  const shown = READABLE_TYPES.filter((type) => type in data).map((type) => [type, joined(data[type])]);
  return { output_type, data: Object.fromEntries(shown) };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function read_notebook(panels, { cell_id, wanted }) {
  const panel = findCell(panels, cell_id)?.panel ?? panels[0]; // two notebooks may share a kernel
  if (!panel) return { ok: false, reason: "no notebook" };
  const wantedIds = new Set(Array.isArray(wanted) ? wanted : []);
  const cells = listCells(panel).map((cell) => {
    const outputs = cell.type === "code" ? cell.outputs.toJSON() : [];
    return {
      id: cell.id,
      type: cell.type,
      source: cell.sharedModel.getSource(),
      count: cell.executionCount ?? null,
      kinds: [...new Set(outputs.map(outputKind))],
      outputs: wantedIds.has(cell.id) ? outputs.map(readableOutput) : null,
    };
  });
  const answer = { ok: true, path: panel.context.path, cells };
  return JSON.stringify(answer).length > MAX_CHARACTERS ? { ok: false, reason: "too large" } : answer;
}

/**
 * @param {any[]} panels
 * @param {any} request
 * @returns {{found: any, refusal: Answer | null}} The cell, or why it is not to be changed.
 */
function findUnchanged(panels, { cell_id, expected }) {
  const found = findCell(panels, cell_id);
  if (!found) return { found, refusal: NO_SUCH_CELL };
  const refusal = found.cell.sharedModel.getSource() === expected ? null : { ok: false, reason: "changed" };
  return { found, refusal };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function check_cell(panels, request) {
  return findUnchanged(panels, request).refusal ?? { ok: true };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function edit_cell(panels, request) {
  const { found, refusal } = findUnchanged(panels, request);
  if (refusal) return refusal;
  if (found.cell.getMetadata("editable") === false) return { ok: false, reason: "locked" };
  const { expected, source } = request;
  let start = 0;
  while (start < Math.min(expected.length, source.length) && expected[start] === source[start]) start += 1;
  let end = 0;
  while (end < Math.min(expected.length, source.length) - start && expected.at(-1 - end) === source.at(-1 - end)) {
    end += 1;
  }
  const model = found.cell.sharedModel;
  model.undoManager?.stopCapturing?.(); // one undo takes this back, and nothing that was typed before
  model.updateSource(start, expected.length - end, source.slice(start, source.length - end));
  model.undoManager?.stopCapturing?.();
  return { ok: true };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function delete_cell(panels, request) {
  const { found, refusal } = findUnchanged(panels, request);
  if (refusal) return refusal;
  if (found.cell.getMetadata("deletable") === false) return { ok: false, reason: "locked" };
  found.panel.content.model.sharedModel.deleteCell(found.at);
  return { ok: true };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function place_outputs(panels, { cell_id, outputs }) {
  const found = findCell(panels, cell_id);
  if (!found || found.cell.type !== "code" || !Array.isArray(outputs)) return NO_SUCH_CELL;
  found.cell.trusted = true; // as when it is run by its button: a person approved it
  found.cell.outputs.clear();
  for (const output of outputs) found.cell.outputs.add(output);
  return { ok: true };
}

/** @type {Record<string, (panels: any[], request: any) => Answer>} */
export const EDIT_OPERATIONS = { read_notebook, check_cell, edit_cell, delete_cell, place_outputs };

/** The operations that need a kernel of the same protocol, and are done once however often they are sent. */
export const ONCE_OPERATIONS = new Set(["edit_cell", "delete_cell", "insert_cell", "place_outputs"]);
