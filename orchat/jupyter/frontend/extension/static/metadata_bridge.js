/**
 * The metadata bridge's end in the page, the twin of `orchat.jupyter.kernel.cell_storage.metadata_bridge`: a JupyterLab
 * plugin that runs a kernel's operations on its notebook's cells, and answers.
 *
 * A kernel opens a comm of the target `orchat.meta`, and opens it again when it gets no answer, since a page that was
 * just loaded has not registered the target. Each message has an operation (`op`) and an `id`, repeated by its answer.
 */

import { OPERATIONS, WRITE_OPERATIONS, trackExecuteRequests } from "./bridge_operations.js";
import { EDIT_OPERATIONS, ONCE_OPERATIONS } from "./notebook_edits.js";

const TARGET = "orchat.meta";
export const PROTOCOL = 1;

const SUBSHELL_TIMEOUT = 300; // milliseconds

const ALL_OPERATIONS = { ...OPERATIONS, ...EDIT_OPERATIONS };
const MAX_ANSWERS = 100;

/** Answers to changes by the request's id: a request that is sent again is not done again. @type {Map<string, object>} */
const givenAnswers = new Map();

/** How to send on the open comms of each kernel, by the ids of both. @type {Map<string, Map<string, (content: object) => void>>} */
const senders = new Map();

const PAGE_ID = crypto.getRandomValues(new Uint32Array(2)).join("-");

/**
 * @param {{id: string, version: string, INotebookTracker: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createBridgePlugin({ id, version, INotebookTracker }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      if (!tracker) return;
      /** @param {any} panel */
      const attachPanel = (panel) => {
        const session = panel.sessionContext;
        /** @type {WeakSet<object>} */
        const knownKernels = new WeakSet();
        /** @param {any} kernel */
        const registerKernel = (kernel) => {
          if (!kernel || knownKernels.has(kernel)) return;
          knownKernels.add(kernel);
          registerCommTarget(kernel, tracker, version);
        };
        session.kernelChanged.connect((/** @type {any} */ _, /** @type {any} */ change) => {
          registerKernel(change.newValue);
        });
        registerKernel(session.session?.kernel);
      };
      tracker.forEach(attachPanel);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => attachPanel(panel));
    },
  };
}

/**
 * @param {any} kernel
 * @param {any} tracker
 * @param {string} version
 */
function registerCommTarget(kernel, tracker, version) {
  trackExecuteRequests(kernel);
  kernel.registerCommTarget(TARGET, (/** @type {any} */ comm, /** @type {any} */ opening) => {
    const envelope = { page: PAGE_ID, protocol: PROTOCOL, version };
    /** @param {object} content */
    const send = async (content) => {
      await waitForSubshell(kernel, comm);
      if (!comm.isDisposed && !kernel.isDisposed) comm.send(content);
    };
    /** @param {any} message */
    const receive = (message) => {
      const request = message.content.data;
      if (request === null || typeof request !== "object" || typeof request.op !== "string") return;
      // Looked up now: a notebook may have been renamed, closed, or opened beside another one on the same kernel.
      const panels = tracker.filter((/** @type {any} */ each) => each.sessionContext.session?.kernel?.id === kernel.id);
      const { id, op, cell_id } = request;
      void send({ ...envelope, id, op, cell_id, ...handleRequest(request, panels) });
    };
    const sendersOfKernel = senders.get(kernel.id) ?? new Map();
    senders.set(kernel.id, sendersOfKernel);
    sendersOfKernel.set(comm.commId, (/** @type {object} */ content) => void send({ ...envelope, ...content }));
    comm.onMsg = receive;
    receive(opening);
  });
}

/**
 * Tell a kernel something that it has not asked for, if it has asked for anything before.
 *
 * @param {any} kernel
 * @param {object} content
 */
export function tellKernel(kernel, content) {
  for (const send of senders.get(kernel.id)?.values() ?? []) send(content);
}

/**
 * Wait until answers reach a kernel that runs a cell: versions that answer in a subshell need it first.
 *
 * @param {any} kernel
 * @param {any} comm
 */
async function waitForSubshell(kernel, comm) {
  if (!kernel.supportsSubshells || !comm.subshellStarted) return;
  await Promise.race([comm.subshellStarted, new Promise((resolve) => setTimeout(resolve, SUBSHELL_TIMEOUT))]);
}

/**
 * @param {any} request
 * @param {any[]} panels
 * @returns {object} the answer, whose `ok` says whether it was done
 */
function handleRequest(request, panels) {
  const { op, protocol } = request;
  if (op === "hello") return { ok: true, path: panels[0]?.context.path ?? null };
  if (!Object.hasOwn(ALL_OPERATIONS, op)) return { ok: false, reason: "unknown" };
  const isOnce = ONCE_OPERATIONS.has(op);
  if ((isOnce || WRITE_OPERATIONS.has(op)) && protocol !== PROTOCOL) return { ok: false, reason: "protocol" };
  const given = isOnce ? givenAnswers.get(request.id) : undefined;
  if (given) return given;
  try {
    const answer = ALL_OPERATIONS[op](panels, request);
    if (isOnce) remember(request.id, answer);
    return answer;
  } catch (error) {
    return { ok: false, reason: String(error) };
  }
}

/** @param {string} id @param {object} answer */
function remember(id, answer) {
  givenAnswers.set(id, answer);
  if (givenAnswers.size > MAX_ANSWERS) givenAnswers.delete(givenAnswers.keys().next().value ?? "");
}
