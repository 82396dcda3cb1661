/**
 * Code of an answer becomes a cell: below the answer's own, or in the place of the cell that was selected before, which
 * is asked about with the difference. A JupyterLab plugin; the editor's undo takes a change back.
 */

import { CODE_EVENT } from "./code_events.js";
import { diffLines, isChanged, nearChanges } from "./line_difference.js";
import { OPERATIONS, listCells } from "./bridge_operations.js";
import { EDIT_OPERATIONS } from "./notebook_edits.js";

const MAX_ROWS = 200;
const STRINGS = {
  title: "Replace the cell?",
  same: "The cell holds this code already.",
  none: "Select the cell that is to be replaced, then press the button again.",
  changed: "The cell was changed meanwhile, or may not be edited: it is left as it is.",
  cancel: "Cancel",
  replace: "Replace",
  cell: "cell",
  unrun: "a cell that has not run",
};

/**
 * @param {{id: string, INotebookTracker: any, apputils: any, widgets: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createCodeActionPlugin({ id, INotebookTracker, apputils, widgets }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      if (!tracker) return;
      /** The code cells that were selected last, the newest first. @type {{panel: any, cell: any}[]} */
      let selected = [];
      tracker.activeCellChanged.connect((/** @type {any} */ _, /** @type {any} */ widget) => {
        if (widget?.model?.type !== "code" || !tracker.currentWidget) return;
        const newest = { panel: tracker.currentWidget, cell: widget.model };
        selected = [newest, ...selected.filter(({ cell }) => cell !== widget.model)].slice(0, 20);
      });
      document.addEventListener(CODE_EVENT, (event) => {
        const { verb, code, fixes, isProbe } = /** @type {CustomEvent} */ (event).detail ?? {};
        if (verb !== "insert" && verb !== "replace") return;
        event.preventDefault(); // the answer that it can be done
        if (isProbe || typeof code !== "string") return;
        const own = findOwnCell(tracker, /** @type {Node} */ (event.target));
        if (verb === "insert") insert(own, code);
        else {
          const others = selected.filter(({ panel, cell }) => panel === own.panel && cell !== own.cell);
          const target = findFixed(own, fixes, code) ?? others.find(({ panel, cell }) => !isGone(panel, cell));
          void replace({ apputils, widgets }, target, code);
        }
      });
    },
  };
}

/**
 * @param {any} tracker
 * @param {Node} node
 * @returns {{panel: any, cell: any}} The cell whose output holds a node; beside the notebooks, none of the current one.
 */
function findOwnCell(tracker, node) {
  const panel = tracker.find((/** @type {any} */ each) => each.node.contains(node));
  if (!panel) return { panel: tracker.currentWidget, cell: null };
  const widget = panel.content.widgets.find((/** @type {any} */ each) => each.node.contains(node));
  return { panel, cell: widget?.model ?? null };
}

/** @param {any} panel @param {any} cell */
const isGone = (panel, cell) => panel.isDisposed || !listCells(panel).includes(cell);

/**
 * @param {{panel: any, cell: any}} own The place of the answer.
 * @param {unknown} fixes The execution numbers of the cells of which the code corrects one.
 * @param {string} code
 * @returns {{panel: any, cell: any} | undefined} Of these cells the one that differs least from the code.
 */
function findFixed({ panel, cell: answer }, fixes, code) {
  if (!panel || !Array.isArray(fixes)) return undefined;
  const lines = code.split("\n");
  /** @param {any} cell */
  const distance = (cell) => diffLines(cell.sharedModel.getSource().split("\n"), lines).filter(isChanged).length;
  const [nearest] = listCells(panel)
    .filter((/** @type {any} */ cell) => cell.type === "code" && cell !== answer && fixes.includes(cell.executionCount))
    .map((/** @type {any} */ cell) => ({ cell, distance: distance(cell) }))
    .sort((/** @type {any} */ one, /** @type {any} */ other) => one.distance - other.distance);
  return nearest && { panel, cell: nearest.cell };
}

/**
 * @param {{panel: any, cell: any}} place
 * @param {string} source
 */
function insert({ panel, cell }, source) {
  const below = cell ?? panel?.content.activeCell?.model;
  if (!below) return;
  OPERATIONS.insert_cell([panel], { below: below.id, source, cell_id: crypto.randomUUID() });
  panel.content.activeCellIndex = listCells(panel).indexOf(below) + 1;
}

/**
 * @param {{apputils: any, widgets: any}} packages
 * @param {{panel: any, cell: any} | undefined} target
 * @param {string} source
 */
async function replace({ apputils, widgets }, target, source) {
  const { Dialog, showDialog } = apputils;
  /** @param {string} body */
  const tell = (body) => showDialog({ title: STRINGS.title, body, buttons: [Dialog.okButton()] });
  if (!target) return tell(STRINGS.none);
  const expected = target.cell.sharedModel.getSource();
  if (expected === source) return tell(STRINGS.same);
  const { accept } = (await showDialog({
    title: `${STRINGS.replace} ${cellName(target.cell)}?`,
    body: new widgets.Widget({ node: createDifference(expected, source) }),
    buttons: [Dialog.cancelButton({ label: STRINGS.cancel }), Dialog.okButton({ label: STRINGS.replace })],
  })).button;
  if (!accept) return;
  const { ok } = EDIT_OPERATIONS.edit_cell([target.panel], { cell_id: target.cell.id, expected, source });
  if (!ok) return tell(STRINGS.changed);
  target.panel.content.activeCellIndex = listCells(target.panel).indexOf(target.cell);
}

/** @param {any} cell */
const cellName = (cell) => (cell.executionCount ? `${STRINGS.cell} [${cell.executionCount}]` : STRINGS.unrun);

/**
 * @param {string} before
 * @param {string} after
 * @returns {HTMLElement}
 */
function createDifference(before, after) {
  const list = document.createElement("pre");
  list.className = "orchat-saved orchat-cell-difference";
  list.tabIndex = 0;
  for (const { sign, line } of nearChanges(diffLines(before.split("\n"), after.split("\n"))).slice(0, MAX_ROWS)) {
    const row = document.createElement(sign === "-" ? "del" : sign === "+" ? "ins" : "span");
    row.textContent = `${sign} ${line}\n`;
    list.append(row);
  }
  return list;
}
