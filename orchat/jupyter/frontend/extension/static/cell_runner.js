/**
 * Run the cell around a button of ours that a person presses when the kernel has restarted
 * (`frontend/shared/kernel_watch.js`), or when its request has failed (`error_card_buttons.js`): a JupyterLab plugin.
 */

export const RUN_EVENT = "orchat:run-cell";

/**
 * @param {{id: string, INotebookTracker: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createCellRunnerPlugin({ id, INotebookTracker }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} app @param {any} tracker */
    activate(app, tracker) {
      if (!tracker) return;
      document.addEventListener(RUN_EVENT, (event) => {
        const found = findCell(tracker, /** @type {Node} */ (event.target));
        if (!found) return;
        event.preventDefault(); // the answer that it can be done
        if (!(/** @type {CustomEvent} */ (event).detail?.isProbe)) void runCell(app, found);
      });
    },
  };
}

/**
 * @param {any} tracker
 * @param {Node} node
 * @returns {{panel: any, at: number} | null}
 */
function findCell(tracker, node) {
  const panel = tracker.find((/** @type {any} */ each) => each.node.contains(node));
  const at = panel?.content.widgets.findIndex((/** @type {any} */ cell) => cell.node.contains(node)) ?? -1;
  return at < 0 ? null : { panel, at };
}

/**
 * @param {any} app
 * @param {{panel: any, at: number}} found
 */
async function runCell(app, { panel, at }) {
  const status = panel.sessionContext.session?.kernel?.status ?? "dead";
  if (status === "dead" || status === "terminating") await panel.sessionContext.restartKernel();
  app.shell.activateById(panel.id);
  panel.content.activeCellIndex = at;
  panel.content.deselectAll();
  await app.commands.execute("notebook:run-cell");
}
