/**
 * The page's end of a widget's channel (`orchat.jupyter.kernel.live_view.widget_channel`): says that a view is ready
 * until it is answered, keeps the state, and asks for all of it again when a batch of events is missing.
 */

/**
 * @typedef {{send(content: object): void, on(name: string, call: (m: any) => void): void,
 *   off(name: string, call: (m: any) => void): void}} Model
 */

const AGAIN = 250;
const TRIES = 240;

/**
 * @template S, E
 * @param {Model} model
 * @param {{render: "markdown"|"html", reduce(state: S, events: E[]): S, changed(state: S): void,
 *   other?: (message: any) => void}} options
 * @returns {{dispose(): void}}
 */
export function connect(model, { render, reduce, changed, other }) {
  /** @type {S | undefined} */
  let state;
  let number = -1;
  let missing = true;
  let tries = 0;
  let timer = 0;

  const ask = () => {
    if (!missing || tries++ >= TRIES) clearInterval(timer);
    else model.send({ t: "ready", render });
  };
  const askUntilAnswered = () => {
    missing = true;
    tries = 0;
    clearInterval(timer);
    timer = window.setInterval(ask, AGAIN);
    ask();
  };
  /** @param {any} message */
  const take = (message) => {
    if (message.t === "full") {
      if (!missing && message.n === number) return; // another view has asked
      state = /** @type {S} */ (message.state);
      number = message.n;
      missing = false;
      changed(state);
    } else if (message.t === "events") {
      if (state === undefined || missing || message.n <= number) return;
      if (message.n !== number + 1) {
        askUntilAnswered();
        return;
      }
      number = message.n;
      state = reduce(state, message.list);
      changed(state);
    } else if (message.t !== "code") other?.(message);
  };
  model.on("msg:custom", take);
  askUntilAnswered();
  return {
    dispose() {
      clearInterval(timer);
      model.off("msg:custom", take);
    },
  };
}
