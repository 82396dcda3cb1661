/**
 * What a kernel may ask of its notebook's cells. Nothing here runs a cell or makes HTML of anything.
 *
 * What is unchanged is not written, so that no notebook counts as changed for nothing.
 */

const KEY = "orchat";
const MIME_TYPE = "application/vnd.orchat.v1+json";
const KEPT = ["text/plain", "text/markdown", MIME_TYPE];
const VERSION = 1;
const MOST_CHARACTERS = 8_000_000; // a Jupyter server takes 10 MB in a message

/** The runs that this page asked for, by the ids of their requests. @type {Set<string>} */
const asked = new Set();

/** In which run of its cell an output was set last. @type {WeakMap<object, string>} */
const runs = new WeakMap();

/** @typedef {{ok: boolean, reason?: string, [name: string]: unknown}} Answer */

/** @param {any} panel @returns {any[]} */
function cellsOf(panel) {
  const cells = panel.content?.model?.cells;
  return cells ? Array.from({ length: cells.length }, (_, at) => cells.get(at)) : [];
}

/**
 * @param {any[]} panels
 * @param {unknown} id
 * @returns {{panel: any, cell: any, at: number} | null}
 */
function find(panels, id) {
  for (const panel of panels) {
    const cells = cellsOf(panel);
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
export function equal(one, other) {
  if (one === other) return true;
  if (one === null || other === null || typeof one !== "object" || typeof other !== "object") return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && equal(one[name], other[name]))
  );
}

/** @param {any} value @returns {boolean} */
const isNewer = (value) => typeof value?.version === "number" && value.version > VERSION;

/** @type {Answer} */
const GONE = { ok: false, reason: "no such cell" };

/** @param {any[]} panels @param {any} request @returns {Answer} */
function set(panels, { cell_id, value }) {
  const found = find(panels, cell_id);
  if (!found) return GONE;
  const { cell } = found;
  const now = cell.getMetadata(KEY);
  if (isNewer(now)) return { ok: false, reason: "newer" };
  if (value === null || value === undefined) {
    if (now !== undefined) cell.deleteMetadata(KEY);
  } else if (!equal(now, value)) cell.setMetadata(KEY, value);
  return { ok: true };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function get(panels, { cell_id }) {
  const found = find(panels, cell_id);
  return found ? { ok: true, value: found.cell.getMetadata(KEY) ?? null } : GONE;
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function cells(panels, { cell_id }) {
  const panel = find(panels, cell_id)?.panel ?? panels[0]; // two notebooks may share a kernel
  if (!panel) return { ok: false, reason: "no notebook" };
  const found = cellsOf(panel).map((cell) => ({
    id: cell.id,
    type: cell.type,
    source: cell.sharedModel.getSource(),
    metadata: cell.getMetadata(KEY) ?? null,
    outputs: cell.type === "code" ? ours(cell.outputs.toJSON()) : [],
  }));
  if (JSON.stringify(found).length > MOST_CHARACTERS) return { ok: false, reason: "too large" };
  return { ok: true, cells: found };
}

/** @param {any[]} outputs @returns {object[]} */
function ours(outputs) {
  return outputs
    .filter((output) => output.data && (MIME_TYPE in output.data || output.metadata?.[KEY]?.live))
    .map(({ data, metadata }) => ({
      data: Object.fromEntries(KEPT.filter((type) => type in data).map((type) => [type, data[type]])),
      metadata: metadata?.[KEY]?.live ? { [KEY]: { live: metadata[KEY].live } } : {},
    }));
}

/**
 * Give a page the output of a run that it has not seen; without a bundle say whether it lacks one.
 *
 * A page that was loaded during the run holds the live output, as it was saved meanwhile, or what an earlier run left.
 * The page that asked for the run gets everything by itself: what is missing there was taken away by a person.
 *
 * @param {any[]} panels @param {any} request @returns {Answer}
 */
function set_output(panels, { cell_id, display_id, run, execution_count, bundle, metadata }) {
  const found = find(panels, cell_id);
  if (!found || found.cell.type !== "code" || typeof run !== "string") return GONE;
  const { cell } = found;
  const saved = /** @type {any[]} */ (cell.outputs.toJSON());
  const live = display_id ? saved.findIndex((output) => output.metadata?.[KEY]?.live === display_id) : -1;
  const lacks = live >= 0 || !asked.has(run);
  const which = { ok: true, run, display_id };
  if (!bundle || !lacks) return { ...which, lacks };
  if (live < 0 && saved.some((output) => equal(output.data, bundle))) return { ...which, lacks: false };
  const output = { output_type: "display_data", data: bundle, metadata: metadata ?? {} };
  if (live >= 0) cell.outputs.set(live, output);
  else {
    if (runs.get(cell) !== run) cell.outputs.clear();
    cell.outputs.add(output);
  }
  if (!asked.has(run) && typeof execution_count === "number") cell.executionCount = execution_count;
  runs.set(cell, run);
  return { ...which, lacks: false };
}

/** @param {any[]} panels @param {any} request @returns {Answer} */
function insert_cell(panels, { below, source, cell_id }) {
  const found = find(panels, below);
  if (!found) return GONE;
  if (typeof source !== "string" || typeof cell_id !== "string") return { ok: false, reason: "no source" };
  if (find([found.panel], cell_id)) return { ok: true };
  const cell = { cell_type: "code", id: cell_id, source, metadata: {} };
  found.panel.content.model.sharedModel.insertCell(found.at + 1, cell);
  return { ok: true };
}

/**
 * Note which runs this page asks for.
 *
 * @param {any} kernel
 */
export function watch(kernel) {
  kernel.anyMessage.connect((/** @type {any} */ _, /** @type {any} */ { msg, direction }) => {
    if (direction === "send" && msg.header.msg_type === "execute_request") asked.add(msg.header.msg_id);
  });
}

/** @type {Record<string, (panels: any[], request: any) => Answer>} */
export const VERBS = { set, get, cells, set_output, insert_cell };

/** What needs a kernel that speaks as this page does. */
export const WRITES = new Set(["set", "set_output", "insert_cell"]);
