/**
 * The page's end of a widget's channel (`orchat.jupyter.kernel.live_view.widget_channel`): requests the state until it
 * is answered, reduces events, and requests the whole state again when a batch of events is missing.
 */

/**
 * @typedef {{on(name: string, call: (m: any) => void): void, off(name: string, call: (m: any) => void): void}} Model
 */

const RETRY_INTERVAL = 250; // milliseconds
const MAX_RETRIES = 240;

/**
 * @template S, E
 * @param {Model} model
 * @param {{send: (message: object) => void, render: "markdown"|"html", reduce(state: S, events: E[]): S,
 *   onState(state: S): void, onMessage?: (message: any) => void}} options
 * @returns {{refresh(): void, dispose(): void}} ``refresh`` requests the whole state again.
 */
export function connectChannel(model, { send, render, reduce, onState, onMessage }) {
  /** @type {S | undefined} */
  let state;
  let sequence = -1;
  let isOutOfSync = true;
  let retries = 0;
  let timer = 0;

  const requestState = () => {
    if (!isOutOfSync || retries++ >= MAX_RETRIES) clearInterval(timer);
    else send({ t: "ready", render });
  };
  const requestUntilAnswered = () => {
    isOutOfSync = true;
    retries = 0;
    clearInterval(timer);
    timer = window.setInterval(requestState, RETRY_INTERVAL);
    requestState();
  };
  /** @param {any} message */
  const receive = (message) => {
    if (message.t === "full") {
      if (!isOutOfSync && message.n === sequence) return; // another view has asked
      state = /** @type {S} */ (message.state);
      sequence = message.n;
      isOutOfSync = false;
      onState(state);
    } else if (message.t === "events") {
      if (state === undefined || isOutOfSync || message.n <= sequence) return;
      if (message.n !== sequence + 1) {
        requestUntilAnswered();
        return;
      }
      sequence = message.n;
      state = reduce(state, message.list);
      onState(state);
    } else if (message.t !== "code") onMessage?.(message);
  };
  model.on("msg:custom", receive);
  requestUntilAnswered();
  return {
    refresh: requestUntilAnswered,
    dispose() {
      clearInterval(timer);
      model.off("msg:custom", receive);
    },
  };
}
