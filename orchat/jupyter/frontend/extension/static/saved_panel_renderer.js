/**
 * Saved chat panels: the panel itself where its kernel runs, as after a page was loaded again; else its transcript.
 *
 * A file never holds the panel's widget, which nobody can show without its kernel, but says which one it was. Of
 * notebooks that are not trusted only the transcript is shown.
 */

const PANEL = "application/vnd.orchat.panel+json";
const WIDGET = "application/vnd.jupyter.widget-view+json";
const SAVED = "application/vnd.orchat.v1+json";
const RANK = -20; // before the widgets, whose rank is -10
const AGAIN = 500; // milliseconds
const TRIES = 60;

/**
 * @param {{id: string, INotebookTracker: any, widgets: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createPanelPlugin({ id, INotebookTracker, widgets }) {
  /** @param {any} notebook */
  const attach = (notebook) => {
    const { rendermime } = notebook.content;
    /** @param {string} type @returns {any} A renderer; null where the page has none. */
    const make = (type) => (rendermime.getFactory(type) ? rendermime.createRenderer(type) : null);

    class SavedPanel extends widgets.Panel {
      /** @param {any} model @returns {Promise<void>} */
      async renderModel(model) {
        clearInterval(this.timer);
        while (this.widgets.length) this.widgets[0].dispose();
        const readable = make(SAVED) ?? make("text/markdown");
        if (readable) {
          this.addWidget(readable);
          await readable.renderModel(model);
        }
        const name = model.data[PANEL]?.model_id;
        if (model.trusted && typeof name === "string") this.bringBack(name, readable);
      }

      /**
       * Try to show the panel: a page learns only after a while which kernel the notebook has, and takes another
       * renderer of widgets then.
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
          } else if (this.isDisposed || tries++ > TRIES) {
            clearInterval(this.timer);
            live?.dispose();
          } else if (rendermime.getFactory(WIDGET) !== factory) {
            factory = rendermime.getFactory(WIDGET);
            live?.dispose();
            live = make(WIDGET);
            if (!live) return;
            live.hide();
            this.addWidget(live);
            const data = { [WIDGET]: { model_id: name, version_major: 2, version_minor: 0 } };
            void live.renderModel(rendermime.createModel({ data, trusted: true }));
          }
        };
        this.timer = setInterval(attempt, AGAIN);
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
    requires: [INotebookTracker],
    /** @param {any} _app @param {any} tracker */
    activate(_app, tracker) {
      tracker.forEach(attach);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => attach(panel));
    },
  };
}
