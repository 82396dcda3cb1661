/**
 * The MIME renderer of chat panels, and of the live views of turns in cells: the widget where its kernel runs, else the
 * transcript.
 *
 * What is saved holds the widget's id and never the widget, which needs its kernel. In notebooks that are not trusted
 * only the transcript is shown.
 */

import { CLOSE_EVENT, readTranscript, saveTranscript } from "./live_transcript.js";

const NOTEBOOKS_EVENT = "orchat:open-notebooks"; // by which a panel asks (`panel/transcript_saver.js`)

/** What holds the id of a widget: of a panel, of the live view in a cell. */
const IDS = ["application/vnd.orchat.panel", "application/vnd.orchat.view"];
const WIDGET = "application/vnd.jupyter.widget-view+json";
const SAVED = "application/vnd.orchat.v1";
const RANK = -20; // before the widgets, whose rank is -10
const RETRY_INTERVAL = 500; // milliseconds
const MAX_RETRIES = 60;
const TRANSCRIPT_DELAY = 1_000; // milliseconds that a panel has before its transcript is shown

/** @param {any} data @returns {unknown} The id of a widget of ours. */
const findId = (data) => data[IDS[0]] ?? data[IDS[1]];

/**
 * Keep widgets of panels and live views out of documents, and so out of files and of the other pages of a shared document.
 *
 * @param {any} ydoc The module `@jupyter/ydoc`.
 */
export function keepWidgetsOut(ydoc) {
  const { prototype } = ydoc.YCodeCell;
  const { updateOutputs } = prototype;
  /** @param {any} output */
  const withoutWidget = (output) => {
    if (!output?.data?.[WIDGET] || !findId(output.data)) return output;
    const { [WIDGET]: _, ...data } = output.data;
    return { ...output, data };
  };
  /** @this {any} @param {number} start @param {number} end @param {any[]} outputs @param {any[]} more */
  prototype.updateOutputs = function (start, end, outputs = [], ...more) {
    return updateOutputs.call(this, start, end, outputs.map(withoutWidget), ...more);
  };
}

/**
 * @param {{id: string, INotebookTracker: any, widgets: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createSavedWidgetPlugin({ id, INotebookTracker, widgets }) {
  /** @param {any} notebook */
  const addRenderer = (notebook) => {
    const { rendermime } = notebook.content;
    /** @param {string} type @returns {any} A renderer; null where the page has none. */
    const makeRenderer = (type) => (rendermime.getFactory(type) ? rendermime.createRenderer(type) : null);

    class SavedWidget extends widgets.Panel {
      /** @param {any} model @returns {Promise<void>} */
      async renderModel(model) {
        const name = model.trusted ? findId(model.data) : null;
        if (this.live && name === this.name) return; // it shows more than its transcript
        this.clear();
        this.name = name;
        const readable = makeRenderer(SAVED) ?? makeRenderer("text/markdown");
        if (typeof name === "string") this.bringBack(name, readable);
        if (readable) {
          if (this.live) readable.hide();
          this.addWidget(readable);
          await readable.renderModel(model);
        }
      }

      /**
       * Retry showing the live panel: a page connects to the notebook's kernel after a while, and then replaces its
       * renderer of widgets.
       *
       * @param {string} name @param {any} readable
       */
      bringBack(name, readable) {
        /** @type {any} */
        let factory = null;
        let tries = 0;
        const showLive = () => {
          const shown = this.live?.node.querySelector(".orchat-panel, .orchat-turn");
          if (!shown) return;
          this.stop();
          this.live.show();
          readable?.hide();
          if (shown.matches(".orchat-turn")) this.followTurn(name, shown, readable);
        };
        const attempt = () => {
          if (tries++ > MAX_RETRIES) {
            this.clearLive();
          } else if (rendermime.getFactory(WIDGET) !== factory) {
            factory = rendermime.getFactory(WIDGET);
            this.clearLive();
            this.timer = setInterval(attempt, RETRY_INTERVAL);
            this.live = makeRenderer(WIDGET);
            if (!this.live) return;
            this.live.hide();
            this.addWidget(this.live);
            this.observer = new MutationObserver(showLive);
            this.observer.observe(this.live.node, { childList: true, subtree: true });
            const data = { [WIDGET]: { model_id: name, version_major: 2, version_minor: 0 } };
            void this.live.renderModel(rendermime.createModel({ data, trusted: true }));
          }
        };
        this.delay = setTimeout(() => readable?.setHidden(this.live?.isVisible ?? false), TRANSCRIPT_DELAY);
        this.timer = setInterval(attempt, RETRY_INTERVAL);
        attempt();
      }

      /**
       * Keep what has arrived of a turn when the notebook is saved, and when its view is closed: in a copied cell, whose
       * output gets no answer at the end, it is shown then.
       *
       * @param {string} name @param {Element} turn @param {any} readable
       */
      followTurn(name, turn, readable) {
        const { saveState } = notebook.context;
        const save = () => saveTranscript(notebook, name, readTranscript(turn));
        const onSave = (/** @type {any} */ _, /** @type {string} */ state) => state === "started" && save();
        const onClose = async () => {
          this.stop();
          this.live?.hide();
          save();
          const data = readTranscript(turn);
          if (data) await readable?.renderModel(rendermime.createModel({ data, trusted: true }));
          readable?.show();
        };
        saveState.connect(onSave);
        turn.addEventListener(CLOSE_EVENT, onClose);
        this.unfollowTurn = () => {
          saveState.disconnect(onSave);
          turn.removeEventListener(CLOSE_EVENT, onClose);
        };
      }

      stop() {
        this.unfollowTurn?.();
        clearInterval(this.timer);
        clearTimeout(this.delay);
        this.observer?.disconnect();
      }

      clearLive() {
        clearInterval(this.timer);
        this.observer?.disconnect();
        this.live?.dispose();
        this.live = null;
      }

      clear() {
        this.stop();
        this.clearLive();
        while (this.widgets.length) this.widgets[0].dispose();
      }

      dispose() {
        this.stop();
        super.dispose();
      }
    }

    const createRenderer = () => new SavedWidget();
    rendermime.addFactory({ safe: true, mimeTypes: IDS, createRenderer }, RANK);
  };

  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      if (!tracker) return;
      document.addEventListener(NOTEBOOKS_EVENT, (event) => {
        const { notebooks } = /** @type {CustomEvent} */ (event).detail;
        tracker.forEach((/** @type {any} */ panel) => {
          const notebook = panel.content.model?.sharedModel;
          if (notebook) notebooks.push(notebook);
        });
      });
      tracker.forEach(addRenderer);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => addRenderer(panel));
    },
  };
}
