/**
 * The MIME renderer of saved chat panels: the live panel where its kernel runs, as after a reload of the page; else its
 * transcript.
 *
 * A file never holds the panel's widget, which needs its kernel, but the widget's id. In notebooks that are not trusted
 * only the transcript is shown.
 */

const PANEL = "application/vnd.orchat.panel+json";
const WIDGET = "application/vnd.jupyter.widget-view+json";
const SAVED = "application/vnd.orchat.v1+json";
const RANK = -20; // before the widgets, whose rank is -10
const RETRY_INTERVAL = 500; // milliseconds
const MAX_RETRIES = 60;

/**
 * @param {{id: string, INotebookTracker: any, widgets: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createPanelPlugin({ id, INotebookTracker, widgets }) {
  /** @param {any} notebook */
  const addRenderer = (notebook) => {
    const { rendermime } = notebook.content;
    /** @param {string} type @returns {any} A renderer; null where the page has none. */
    const makeRenderer = (type) => (rendermime.getFactory(type) ? rendermime.createRenderer(type) : null);

    class SavedPanel extends widgets.Panel {
      /** @param {any} model @returns {Promise<void>} */
      async renderModel(model) {
        clearInterval(this.timer);
        while (this.widgets.length) this.widgets[0].dispose();
        const readable = makeRenderer(SAVED) ?? makeRenderer("text/markdown");
        if (readable) {
          this.addWidget(readable);
          await readable.renderModel(model);
        }
        const name = model.data[PANEL]?.model_id;
        if (model.trusted && typeof name === "string") this.bringBack(name, readable);
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
        /** @type {any} */
        let live = null;
        let tries = 0;
        const attempt = () => {
          if (live?.node.querySelector(".orchat-panel")) {
            clearInterval(this.timer);
            live.show();
            readable?.hide();
          } else if (this.isDisposed || tries++ > MAX_RETRIES) {
            clearInterval(this.timer);
            live?.dispose();
          } else if (rendermime.getFactory(WIDGET) !== factory) {
            factory = rendermime.getFactory(WIDGET);
            live?.dispose();
            live = makeRenderer(WIDGET);
            if (!live) return;
            live.hide();
            this.addWidget(live);
            const data = { [WIDGET]: { model_id: name, version_major: 2, version_minor: 0 } };
            void live.renderModel(rendermime.createModel({ data, trusted: true }));
          }
        };
        this.timer = setInterval(attempt, RETRY_INTERVAL);
        attempt();
      }

      dispose() {
        clearInterval(this.timer);
        super.dispose();
      }
    }

    const createRenderer = () => new SavedPanel();
    rendermime.addFactory({ safe: true, mimeTypes: [PANEL], createRenderer }, RANK);
  };

  return {
    id,
    autoStart: true,
    optional: [INotebookTracker], // voila has none
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      if (!tracker) return;
      tracker.forEach(addRenderer);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => addRenderer(panel));
    },
  };
}
