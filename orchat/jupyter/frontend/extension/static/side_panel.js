/**
 * A chat panel beside the notebook, in the page's side bar: a JupyterLab plugin with a command, a launcher card and a
 * shortcut. It is another view of a panel that stands in a cell, and is stored there; meanwhile the cell says so.
 */

const OPEN = "orchat:open-side-chat";
const MOVE_EVENT = "orchat:move-panel";
const WIDGET = "application/vnd.jupyter.widget-view+json";
const SOURCE = "from orchat import ChatPanel\nChatPanel()";
const KEYS = ["Accel Alt C"];
const LOST = new Set(["restarting", "autorestarting", "terminating", "dead"]); // statuses of a kernel
const MAX_WAIT = 20_000; // milliseconds until a panel is there
const STRINGS = {
  open: "Chat at the Side",
  caption: "Open a chat with a language model beside the current notebook, on its kernel",
  chat: "Chat",
  moved: "This chat is at the side.",
  back: "Bring it back",
};

/**
 * @param {{id: string, INotebookTracker: any, apputils: any, launcher: any, ui: any, widgets: any}} options
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createSidePanelPlugin({ id, INotebookTracker, apputils, launcher, ui, widgets }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker, apputils.ICommandPalette, ...(launcher ? [launcher.ILauncher] : [])],
    /** @param {any} app @param {any} tracker @param {any} palette @param {any} launcherModel */
    activate(app, tracker, palette, launcherModel) {
      if (!tracker) return;
      const chatIcon = new ui.LabIcon({ name: "orchat:chat", svgstr: ICON });
      /** @type {{widget: any, node: HTMLElement} | null} The panel at the side, and its view in the cell. */
      let shown = null;

      /** @param {any} panel A notebook. @param {HTMLElement} node The view of a panel in one of its cells. */
      const moveToSide = async (panel, node) => {
        shown?.widget.dispose();
        const { rendermime } = panel.content;
        const data = { [WIDGET]: { model_id: node.dataset.widget, version_major: 2, version_minor: 0 } };
        const view = rendermime.createRenderer(WIDGET);
        const widget = new widgets.Panel();
        widget.id = "orchat-side-chat";
        widget.addClass("orchat-side");
        widget.title.icon = chatIcon;
        widget.title.caption = `${STRINGS.chat}: ${panel.context.path}`;
        widget.title.closable = true;
        widget.node.setAttribute("role", "region");
        widget.node.setAttribute("aria-label", STRINGS.chat);
        widget.addWidget(view);
        const place = createPlaceholder(() => widget.dispose());
        node.parentElement?.append(place);
        node.hidden = true;
        shown = { widget, node };
        const close = () => widget.dispose();
        /** @param {any} _ @param {string} status */
        const closeWithKernel = (_, status) => {
          if (LOST.has(status)) close(); // its cell says what happened, and runs again
        };
        const area = node.closest(".jp-OutputArea");
        const rerun = new MutationObserver(() => !area?.contains(node) && close());
        if (area) rerun.observe(area, { childList: true });
        panel.disposed.connect(close);
        panel.sessionContext.statusChanged.connect(closeWithKernel);
        widget.disposed.connect(() => {
          rerun.disconnect();
          panel.disposed.disconnect(close);
          panel.sessionContext.statusChanged.disconnect(closeWithKernel);
          place.remove();
          node.hidden = false;
          if (shown?.widget === widget) shown = null;
        });
        app.shell.add(widget, "right", { rank: 500 });
        app.shell.activateById(widget.id);
        await view.renderModel(rendermime.createModel({ data, trusted: true }));
        (await waitFor(() => widget.node.querySelector(".orchat-text-input")))?.focus();
      };

      document.addEventListener(MOVE_EVENT, (event) => {
        event.preventDefault(); // the answer that it can be done
        if (/** @type {CustomEvent} */ (event).detail?.isProbe) return;
        const node = /** @type {HTMLElement} */ (event.target);
        if (shown?.widget.node.contains(node)) {
          const { node: own } = shown;
          shown.widget.dispose();
          /** @type {HTMLElement | null} */ (own.querySelector(".orchat-text-input"))?.focus();
          return;
        }
        const panel = tracker.find((/** @type {any} */ each) => each.node.contains(node));
        if (panel) void moveToSide(panel, node);
      });

      app.commands.addCommand(OPEN, {
        label: (/** @type {any} */ { isLauncher }) => (isLauncher ? STRINGS.chat : STRINGS.open),
        caption: STRINGS.caption,
        icon: chatIcon,
        describedBy: { args: { type: "object", properties: { isLauncher: { type: "boolean" } } } },
        execute: async () => {
          const panel = tracker.currentWidget ?? (await app.commands.execute("notebook:create-new"));
          if (!panel?.content?.model) return;
          await panel.sessionContext?.ready;
          if (shown && panel.node.contains(shown.node)) {
            app.shell.activateById(shown.widget.id);
            return;
          }
          const node = findPanel(panel.node) ?? (await runNewPanel(app, panel));
          if (node) await moveToSide(panel, node);
        },
      });
      app.commands.addKeyBinding({ command: OPEN, keys: KEYS, selector: "body" });
      palette?.addItem({ command: OPEN, category: "Notebook Operations" });
      launcherModel?.add({ command: OPEN, args: { isLauncher: true }, category: "Other", rank: 50 });
    },
  };
}

/** @param {HTMLElement} root @returns {HTMLElement | null} */
const findPanel = (root) => root.querySelector(".orchat-panel[data-widget]");

/**
 * Run a new cell with a panel, behind all others.
 *
 * @param {any} app
 * @param {any} panel
 */
async function runNewPanel(app, panel) {
  const { sharedModel } = panel.content.model;
  sharedModel.insertCell(sharedModel.cells.length, { cell_type: "code", source: SOURCE, metadata: {} });
  app.shell.activateById(panel.id);
  panel.content.activeCellIndex = sharedModel.cells.length - 1;
  panel.content.deselectAll();
  await app.commands.execute("notebook:run-cell");
  return waitFor(() => findPanel(panel.node));
}

/**
 * @param {() => HTMLElement | null} find
 * @returns {Promise<HTMLElement | null>}
 */
async function waitFor(find) {
  const start = performance.now();
  let found = find();
  while (!found && performance.now() - start < MAX_WAIT) {
    await new Promise((next) => setTimeout(next, 50));
    found = find();
  }
  return found;
}

/** @param {() => void} onBack */
function createPlaceholder(onBack) {
  const back = document.createElement("button");
  back.type = "button";
  back.className = "orchat-button orchat-outlined orchat-bring-back";
  back.textContent = STRINGS.back;
  back.addEventListener("click", onBack);
  const node = document.createElement("div");
  node.className = "orchat-turn orchat-moved";
  node.append(STRINGS.moved, back);
  return node;
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16"><path class="jp-icon3" fill="none"
 stroke="#616161" stroke-width="1.3" stroke-linejoin="round" d="M2.5 3h11v8H7.5L4.5 13.5V11h-2z"/></svg>`;
