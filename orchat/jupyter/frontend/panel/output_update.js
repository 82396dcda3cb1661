/**
 * Ask the kernel to update the panel's output with its transcript, where the page cannot write into the document: the
 * front end saves what an output holds, and would keep the transcript of the moment when the cell ran.
 *
 * An update may draw the panel anew. VS Code's renderer of widgets leaves one alone that it shows in the same place
 * already (vscode-jupyter, `renderIPyWidget`): there the end of a turn is a good moment, unless somebody types. In
 * nbclassic, Colab and others it is when nobody looks. The kernel sends no update that changes nothing.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

/**
 * @param {HTMLElement} node The panel.
 * @param {(message: object) => void} send
 * @returns {{update(fields: Fields): void, dispose(): void}}
 */
export function createOutputUpdate(node, send) {
  /** @type {Fields["saved"]} */
  let asked;
  /** @type {Fields | null} */
  let fields = null;

  function ask() {
    if (!fields?.saved || fields.running || fields.saved === asked || !isGoodMoment(node)) return;
    asked = fields.saved;
    send({ t: "update_output" });
  }

  const askSoon = () => void setTimeout(ask); // when the focus is where it goes
  node.addEventListener("focusout", askSoon);
  document.addEventListener("visibilitychange", ask);
  return {
    update(next) {
      fields = next;
      ask();
    },
    dispose() {
      fields = null;
      document.removeEventListener("visibilitychange", ask);
    },
  };
}

/** @param {HTMLElement} node */
function isGoodMoment(node) {
  if (document.hidden) return true;
  const keepsViews = typeof (/** @type {any} */ (window).ipywidgetsKernel?.renderOutput) === "function";
  const focused = /** @type {HTMLInputElement | null} */ (node.querySelector(":focus"));
  return keepsViews && !focused?.value;
}
