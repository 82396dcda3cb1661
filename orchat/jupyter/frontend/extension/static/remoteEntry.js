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
      const [
        { createBridgePlugin, tellKernel },
        { createClearedCellsPlugin },
        { createPanelPlugin },
        { createCellRunnerPlugin },
        { createPromptCellPlugin },
      ] = await Promise.all(
        ["metadata_bridge.js", "cleared_cells.js", "saved_panel_renderer.js", "cell_runner.js", "prompt_cells.js"].map(
          load,
        ),
      );
      const widgets = await loadShared("@lumino/widgets");
      const editor = ["@jupyterlab/codemirror", "@codemirror/view", "@codemirror/language"].map(loadShared);
      const [codemirror, view, language] = await Promise.all(editor).catch(() => []); // a page without editors: voila's
      const plugins = [
        createBridgePlugin({ id: `${NAME}:bridge`, version: VERSION, INotebookTracker }),
        createClearedCellsPlugin({ id: `${NAME}:cleared`, INotebookTracker, NotebookActions, tellKernel }),
        createPanelPlugin({ id: `${NAME}:panel`, INotebookTracker, widgets }),
        createCellRunnerPlugin({ id: `${NAME}:run`, INotebookTracker }),
      ];
      const prompts = { id: `${NAME}:prompts`, INotebookTracker, codemirror, view, language };
      return codemirror ? [...plugins, createPromptCellPlugin(prompts)] : plugins;
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
