/**
 * The page's end of `orchat.jupyter.kernel.cell_storage`: does what a kernel asks with its notebook's cells, and
 * answers.
 *
 * A kernel opens a comm of the target `orchat.meta`, and opens it again when nobody answered, for a page that was
 * loaded a moment ago knows of none. Each message says what is wanted (`op`) and has an `id`, which its answer repeats.
 */

import { VERBS, WRITES, watch } from "./notebook_cells.js";

const TARGET = "orchat.meta";
export const PROTOCOL = 1;

const PATIENCE = 300; // milliseconds

const PAGE = crypto.getRandomValues(new Uint32Array(2)).join("-");

/**
 * @param {{id: string, version: string, INotebookTracker: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createPlugin({ id, version, INotebookTracker }) {
  return {
    id,
    autoStart: true,
    requires: [INotebookTracker],
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      /** @param {any} panel */
      const attach = (panel) => {
        const session = panel.sessionContext;
        /** @type {WeakSet<object>} */
        const known = new WeakSet();
        /** @param {any} kernel */
        const listen = (kernel) => {
          if (!kernel || known.has(kernel)) return;
          known.add(kernel);
          register(kernel, tracker, version);
        };
        session.kernelChanged.connect((/** @type {any} */ _, /** @type {any} */ change) => listen(change.newValue));
        listen(session.session?.kernel);
      };
      tracker.forEach(attach);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => attach(panel));
    },
  };
}

/**
 * @param {any} kernel
 * @param {any} tracker
 * @param {string} version
 */
function register(kernel, tracker, version) {
  watch(kernel);
  kernel.registerCommTarget(TARGET, (/** @type {any} */ comm, /** @type {any} */ opening) => {
    /** @param {object} content */
    const send = async (content) => {
      await reachable(kernel, comm);
      if (!comm.isDisposed && !kernel.isDisposed) comm.send(content);
    };
    /** @param {any} message */
    const take = (message) => {
      const request = message.content.data;
      if (request === null || typeof request !== "object" || typeof request.op !== "string") return;
      // Looked up now: a notebook may have been renamed, closed, or opened beside another one on the same kernel.
      const panels = tracker.filter((/** @type {any} */ each) => each.sessionContext.session?.kernel?.id === kernel.id);
      const { id, op, cell_id } = request;
      const here = { id, op, cell_id, page: PAGE, protocol: PROTOCOL, version };
      void send({ ...here, ...answer(request, panels) });
    };
    comm.onMsg = take;
    take(opening);
  });
}

/**
 * Wait until answers reach a kernel that runs a cell: versions that answer in a subshell need it first.
 *
 * @param {any} kernel
 * @param {any} comm
 */
async function reachable(kernel, comm) {
  if (!kernel.supportsSubshells || !comm.subshellStarted) return;
  await Promise.race([comm.subshellStarted, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
}

/**
 * @param {any} request
 * @param {any[]} panels
 * @returns {object} the answer, whose `ok` says whether it was done
 */
function answer(request, panels) {
  const { op, protocol } = request;
  if (op === "hello") return { ok: true, path: panels[0]?.context.path ?? null };
  if (!Object.hasOwn(VERBS, op)) return { ok: false, reason: "unknown" };
  if (WRITES.has(op) && protocol !== PROTOCOL) return { ok: false, reason: "protocol" };
  try {
    return VERBS[op](panels, request);
  } catch (error) {
    return { ok: false, reason: String(error) };
  }
}
