/**
 * The operations on a notebook's cells that the metadata bridge offers to a kernel: read and write our metadata, set an
 * output, insert a cell. None runs a cell or makes HTML.
 *
 * Unchanged values are not written, so that the notebook is not marked as changed for nothing.
 */

import { isCleared, recordRun, withMark } from "./cleared_cells.js";
import { keepValue, patchedValue } from "./value_patch.js";

const KEY = "orchat";
const MIME_TYPE = "application/vnd.orchat.v1";
const OLD_MIME_TYPE = "application/vnd.orchat.v1+json";
const SAVED_MIME_TYPES = ["text/plain", "text/markdown", MIME_TYPE, OLD_MIME_TYPE, "image/png", "image/jpeg", "image/gif"];
const VERSION = 1;
const MAX_CHARACTERS = 8_000_000; // a Jupyter server takes 10 MB in a message

/** The ids of this page's execute requests. @type {Set<string>} */
const requestedRuns = new Set();

/** The run in which a cell's output was set last. @type {WeakMap<object, string>} */
const lastRuns = new WeakMap();

/** @typedef {{ok: boolean, reason?: string, [name: string]: unknown}} Answer */

/** @param {any} panel @returns {any[]} */
export function listCells(panel) {
  const cells = panel.content?.model?.cells;
  return cells ? Array.from({ length: cells.length }, (_, at) => cells.get(at)) : [];
}

/**
 * @param {any[]} panels
 * @param {unknown} id
 * @returns {{panel: any, cell: any, at: number} | null}
 */
export function findCell(panels, id) {
  for (const panel of panels) {
    const cells = listCells(panel);
    const at = cells.findIndex((cell) => cell.id === id);
    if (at >= 0) return { panel, cell: cells[at], at };
  }
  return null;
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean}
 */
export function deepEqual(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && deepEqual(one[name], other[name]))
  );
}

/** @param {any} value @returns {boolean} */
const isNewer = (value) => typeof value?.version === "number" && value.version > VERSION;

/** @type {Answer} */
export const NO_SUCH_CELL = { ok: false, reason: "no such cell" };

/** @param {any[]} panels @param {any} request @returns {Answer} */
function set(panels, { id, cell_id, value }) {
  const found = findCell(panels, cell_id);
  if (!found) return NO_SUCH_CELL;
  keepValue(cell_id, id, value);
  const { cell } = found;
  const now = cell.getMetadata(KEY);
  if (isNewer(now)) return { ok: false, reason: "newer" };
  if (value === null || value === undefined) {
    if (now !== undefined) cell.deleteMetadata(KEY);
    return { ok: true };
  }
  if (isEmptied(cell)) return { ok: false, reason: "cleared" };
  const marked = withMark(cell, value);
  if (!deepEqual(now, marked)) cell.setMetadata(KEY, marked);
  return { ok: true };
}

/**
 * Set a value that differs from the last one by a patch; one that lacks the last one is sent all of it.
 *
 * @param {any[]} panels @param {any} request @returns {Answer}
 */
function patch(panels, request) {
  const { id, cell_id } = request;
  if (!findCell(panels, cell_id)) return NO_SUCH_CELL;
  const value = patchedValue(request);
  return value === undefined ? { ok: false, reason: "base" } : set(panels, { id, cell_id, value });
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function get(panels, { cell_id }) {
  const found = findCell(panels, cell_id);
  return found ? { ok: true, value: found.cell.getMetadata(KEY) ?? null } : NO_SUCH_CELL;
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function cells(panels, { cell_id }) {
  const panel = findCell(panels, cell_id)?.panel ?? panels[0]; // two notebooks may share a kernel
  if (!panel) return { ok: false, reason: "no notebook" };
  const found = listCells(panel).map((cell) => ({
    id: cell.id,
    type: cell.type,
    source: cell.sharedModel.getSource(),
    metadata: cell.getMetadata(KEY) ?? null,
    outputs: cell.type === "code" ? orchatOutputs(cell.outputs.toJSON()) : [],
  }));
  if (JSON.stringify(found).length <= MAX_CHARACTERS) return { ok: true, cells: found };
  for (const { data } of /** @type {any[]} */ (found.flatMap(({ outputs }) => outputs))) {
    for (const type of Object.keys(data)) if (type.startsWith("image/")) delete data[type];
  }
  if (JSON.stringify(found).length <= MAX_CHARACTERS) return { ok: true, cells: found }; // the texts are worth more
  return { ok: false, reason: "too large" };
}

/**
 * @param {any} cell
 * @returns {boolean} Whether a person has cleared a cell's outputs, and none of ours was shown again since, as the form
 *   of a call that waits is.
 */
const isEmptied = (cell) => isCleared(cell.id) && !orchatOutputs(cell.outputs?.toJSON() ?? []).length;

/** @param {any[]} outputs @returns {object[]} */
function orchatOutputs(outputs) {
  return outputs
    .filter(({ data, metadata }) => {
      return data && (MIME_TYPE in data || OLD_MIME_TYPE in data || metadata?.[KEY]);
    })
    .map(({ data, metadata }) => ({
      data: Object.fromEntries(SAVED_MIME_TYPES.filter((type) => type in data).map((type) => [type, data[type]])),
      metadata: metadata?.[KEY] ? { [KEY]: metadata[KEY].live ? { live: metadata[KEY].live } : {} } : {},
    }));
}

/**
 * Set the output of a run that the page has not received; without a bundle return whether the output is missing.
 *
 * A page that was loaded during the run holds the live output, as it was saved meanwhile, or that of an earlier run.
 * The page that requested the run receives all outputs by itself: one that is missing there was removed by a person.
 *
 * @param {any[]} panels @param {any} request @returns {Answer}
 */
function set_output(panels, { cell_id, display_id, run, execution_count, bundle, metadata }) {
  const found = findCell(panels, cell_id);
  if (!found || found.cell.type !== "code" || typeof run !== "string") return NO_SUCH_CELL;
  const { cell } = found;
  const saved = /** @type {any[]} */ (cell.outputs.toJSON());
  if (isEmptied(cell)) return { ok: true, run, display_id, lacks: false };
  const live = display_id ? saved.findIndex((output) => output.metadata?.[KEY]?.live === display_id) : -1;
  const isMissing = live >= 0 || !requestedRuns.has(run);
  const which = { ok: true, run, display_id, shared: found.panel.content.model.collaborative === true };
  if (!bundle || !isMissing) return { ...which, lacks: isMissing };
  if (live < 0 && saved.some((output) => deepEqual(output.data, bundle))) return { ...which, lacks: false };
  const output = { output_type: "display_data", data: bundle, metadata: metadata ?? {} };
  if (live >= 0) cell.outputs.set(live, output);
  else {
    if (lastRuns.get(cell) !== run) cell.outputs.clear();
    cell.outputs.add(output);
  }
  if (!requestedRuns.has(run) && typeof execution_count === "number") cell.executionCount = execution_count;
  lastRuns.set(cell, run);
  return { ...which, lacks: false };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function insert_cell(panels, { below, above, source, cell_id, cell_type = "code" }) {
  const found = findCell(panels, below ?? above);
  if (!found) return NO_SUCH_CELL;
  if (typeof source !== "string" || typeof cell_id !== "string") return { ok: false, reason: "no source" };
  if (findCell([found.panel], cell_id)) return { ok: true };
  const cell = { cell_type: cell_type === "markdown" ? "markdown" : "code", id: cell_id, source, metadata: {} };
  found.panel.content.model.sharedModel.insertCell(below ? found.at + 1 : found.at, cell);
  return { ok: true };
}

/**
 * Record the ids of the execute requests that this page sends.
 *
 * @param {any} kernel
 */
export function trackExecuteRequests(kernel) {
  kernel.anyMessage.connect((/** @type {any} */ _, /** @type {any} */ { msg, direction }) => {
    if (direction !== "send" || msg.header.msg_type !== "execute_request") return;
    requestedRuns.add(msg.header.msg_id);
    if (typeof msg.metadata?.cellId === "string") recordRun(msg.metadata.cellId, msg.header.msg_id);
  });
}

/** @type {Record<string, (panels: any[], request: any) => Answer>} */
export const OPERATIONS = { set, patch, get, cells, set_output, insert_cell };

/** The operations that need a kernel of the same protocol. */
export const WRITE_OPERATIONS = new Set(["set", "patch", "set_output", "insert_cell"]);
