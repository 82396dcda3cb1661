/**
 * What a person clears is gone: with a cell's outputs goes orchat's metadata of the cell, and the kernel is told, so that
 * it brings nothing back: a JupyterLab plugin.
 *
 * Other tools clear a notebook file and know nothing of the metadata. So that of panels is marked (`shown`) while the
 * cell has an output, and a cell that is marked but has none was cleared: what it holds goes when it is run. A run takes
 * the mark away first, since it may end before there is an output.
 */

const KEY = "orchat";

/** The cells that were cleared and have not been run since. @type {Set<string>} */
const clearedIds = new Set();

/** The latest run of each cell that this page has requested. @type {Map<string, string>} */
const latestRuns = new Map();

/** @param {string} id @returns {boolean} */
export const isCleared = (id) => clearedIds.has(id);

/** @param {string} id @param {string} run The id of an execute request. */
export function recordRun(id, run) {
  clearedIds.delete(id);
  latestRuns.set(id, run);
}

/**
 * @param {any} cell
 * @param {any} value Orchat's metadata of the cell.
 * @returns {any} The value with the mark, where it needs one.
 */
export const withMark = (cell, value) => (value.panels && cell.outputs?.length ? { ...value, shown: true } : value);

/** @param {any} cell @param {() => void} change A change that the editor does not undo. */
const changeForGood = (cell, change) => cell.sharedModel.transact(change, false);

/** @param {any} cell */
function prepareRun(cell) {
  const value = cell.getMetadata(KEY);
  if (!value?.shown) return;
  const { shown, ...rest } = value;
  if (cell.outputs?.length) changeForGood(cell, () => cell.setMetadata(KEY, rest));
  else changeForGood(cell, () => cell.deleteMetadata(KEY));
}

/** @param {any} cell */
function markShown(cell) {
  const value = cell.getMetadata(KEY);
  if (value && !value.shown && withMark(cell, value).shown) {
    changeForGood(cell, () => cell.setMetadata(KEY, withMark(cell, value)));
  }
}

/**
 * @param {{id: string, INotebookTracker: any, NotebookActions: any, tellKernel: (kernel: any, content: object) => void}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createClearedCellsPlugin({ id, INotebookTracker, NotebookActions, tellKernel }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      if (!tracker) return;
      NotebookActions.outputCleared.connect((/** @type {any} */ _, /** @type {any} */ { notebook, cell }) => {
        const { model } = cell;
        if (model.getMetadata(KEY) !== undefined) changeForGood(model, () => model.deleteMetadata(KEY));
        clearedIds.add(model.id);
        const panel = tracker.find((/** @type {any} */ each) => each.content === notebook);
        const kernel = panel?.sessionContext.session?.kernel;
        if (kernel) tellKernel(kernel, { op: "cleared", cell_id: model.id, run: latestRuns.get(model.id) ?? null });
      });
      NotebookActions.executionScheduled?.connect((/** @type {any} */ _, /** @type {any} */ { cell }) => {
        prepareRun(cell.model);
      });
      NotebookActions.executed.connect((/** @type {any} */ _, /** @type {any} */ { cell }) => markShown(cell.model));
    },
  };
}
