/**
 * The module federation container that JupyterLab loads by a script tag: `init` receives the page's shared packages,
 * `get` returns modules. It is written by hand, in place of a bundler, and loads the plain ES modules beside it.
 */
(() => {
  "use strict";
  const NAME = "orchat-lab";
  const VERSION = "0.1.0";
  const HERE = /** @type {HTMLScriptElement} */ (document.currentScript).src;
  /** @type {Record<string, Record<string, {get(): Promise<() => any>}>>} */
  let sharedScope = {};

  /** @param {string} name @returns {Promise<any>} */
  async function loadShared(name) {
    const versions = Object.values(sharedScope[name] ?? {});
    if (!versions.length) throw new Error(`${NAME}: the page lends no ${name}`);
    return (await versions[0].get())();
  }

  /** @param {string} file @returns {Promise<any>} */
  const load = (file) => import(new URL(file, HERE).href);

  /** @type {Record<string, () => Promise<object>>} */
  const modules = {
    "./extension": async () => {
      const notebook = await loadShared("@jupyterlab/notebook").catch(() => null);
      if (!notebook) return []; // a page without notebooks, such as voila's
      const { INotebookTracker, NotebookActions } = notebook;
      const files = ["metadata_bridge", "cleared_cells", "saved_widget_renderer", "cell_runner"];
      const [bridge, cleared, saved, cells] = await Promise.all(files.map((name) => load(`${name}.js`)));
      const widgets = await loadShared("@lumino/widgets");
      await loadShared("@jupyter/ydoc").then(saved.keepWidgetsOut, () => {}); // voila has no documents
      const plugins = [
        bridge.createBridgePlugin({ id: `${NAME}:bridge`, version: VERSION, INotebookTracker }),
        cleared.createClearedCellsPlugin({
          id: `${NAME}:cleared`, INotebookTracker, NotebookActions, tellKernel: bridge.tellKernel,
        }),
        saved.createSavedWidgetPlugin({ id: `${NAME}:panel`, INotebookTracker, widgets }),
        cells.createCellRunnerPlugin({ id: `${NAME}:run`, INotebookTracker }),
      ];
      const packages = [
        "@jupyterlab/apputils", "@jupyterlab/ui-components", "@jupyterlab/codemirror", "@codemirror/view",
        "@codemirror/language",
      ];
      const lent = await Promise.all(packages.map(loadShared)).catch(() => null);
      if (!lent) return plugins; // a page without editors, such as voila's
      const [apputils, ui, codemirror, view, language] = lent;
      const launcher = await loadShared("@jupyterlab/launcher").catch(() => null); // Notebook 7 has none
      const more = ["prompt_cells", "code_actions", "side_panel"];
      const [prompts, code, side] = await Promise.all(more.map((name) => load(`${name}.js`)));
      return [
        ...plugins,
        prompts.createPromptCellPlugin({ id: `${NAME}:prompts`, INotebookTracker, codemirror, view, language }),
        code.createCodeActionPlugin({ id: `${NAME}:code`, INotebookTracker, apputils, widgets }),
        side.createSidePanelPlugin({ id: `${NAME}:side`, INotebookTracker, apputils, launcher, ui, widgets }),
      ];
    },
    "./mime": async () => {
      const [{ createRendererExtension }, rendermime, widgets] = await Promise.all([
        load("saved_answer_renderer.js"),
        loadShared("@jupyterlab/rendermime"),
        loadShared("@lumino/widgets"),
      ]);
      return createRendererExtension({ id: `${NAME}:mime`, rendermime, widgets });
    },
  };

  const page = /** @type {any} */ (window);
  page._JUPYTERLAB = page._JUPYTERLAB ?? {};
  page._JUPYTERLAB[NAME] = {
    /** @param {typeof sharedScope} lent */
    init(lent) {
      sharedScope = lent;
    },
    /** @param {string} name */
    async get(name) {
      if (!Object.hasOwn(modules, name)) throw new Error(`${NAME} has no module ${name}`);
      const value = await modules[name]();
      return () => ({ __esModule: true, default: value });
    },
  };
})();
