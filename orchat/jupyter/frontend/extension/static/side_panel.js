/**
 * A chat panel beside the notebook, in the page's side bar: a JupyterLab plugin with a command, a launcher card and a
 * shortcut. It is another view of a panel that stands in a cell, and is stored there; meanwhile the cell says so. The side
 * bar follows the current notebook: each has its own chat there, or none.
 */

import { RUN_EVENT } from "./cell_runner.js";

const OPEN = "orchat:open-side-chat";
const MOVE_EVENT = "orchat:move-panel";
const WIDGET = "application/vnd.jupyter.widget-view+json";
const SOURCE = "from orchat import ChatPanel\nChatPanel()";
const KEYS = ["Accel Alt C"];
const MAX_WAIT = 20_000; // milliseconds until a panel is there
const STRINGS = {
  open: "Chat at the Side",
  caption: "Open a chat with a language model beside the current notebook, on its kernel",
  chat: "Chat",
  moved: "This chat is at the side.",
  back: "Bring it back",
  none: "This notebook has no chat at the side.",
  openHere: "Open one",
};

/** @typedef {{view: any, node: HTMLElement, close(isFinal?: boolean): void}} SideChat */

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
      /**
       * The notebooks with a panel at the side: its view there, and the one in its cell. @type {Map<any, SideChat>}
       */
      const chats = new Map();
      /** @type {any} The side bar's widget, while any notebook has a panel there; and what it offers to the others. */
      let side = null;
      /** @type {any} */
      let offer = null;

      /** Show the chat of the current notebook, and no other's. */
      function showCurrent() {
        if (!side) return;
        const current = tracker.currentWidget;
        for (const [panel, { view }] of chats) view.setHidden(panel !== current);
        offer.setHidden(!current || chats.has(current));
        side.title.caption = current ? `${STRINGS.chat}: ${current.context.path}` : STRINGS.chat;
      }
      tracker.currentChanged.connect(showCurrent);

      function closeEmptySide() {
        if (!chats.size) side?.dispose();
      }

      function openSide() {
        if (side) return;
        side = new widgets.Panel();
        side.id = "orchat-side-chat";
        side.addClass("orchat-side");
        side.title.icon = chatIcon;
        side.title.closable = true;
        side.node.setAttribute("role", "region");
        side.node.setAttribute("aria-label", STRINGS.chat);
        offer = new widgets.Widget({ node: createOffer(() => void app.commands.execute(OPEN)) });
        side.addWidget(offer);
        side.disposed.connect(() => {
          side = null;
          for (const { close } of chats.values()) close();
        });
        app.shell.add(side, "right", { rank: 500 });
      }

      /**
       * @param {any} panel A notebook.
       * @param {HTMLElement} node The view of a panel in one of its cells.
       * @param {string | null} [draft] What was typed at the side before its cell ran again; then nothing gets the focus.
       */
      const moveToSide = async (panel, node, draft = null) => {
        const { rendermime } = panel.content;
        const data = { [WIDGET]: { model_id: node.dataset.widget, version_major: 2, version_minor: 0 } };
        const view = rendermime.createRenderer(WIDGET);
        const place = createPlaceholder(() => close());
        const area = node.closest(".jp-OutputArea");
        const cell = panel.content.widgets.find((/** @type {any} */ each) => each.node.contains(node));
        const { cells } = panel.content.model;
        const rerun = new MutationObserver(() => void followRerun());
        const followRerun = async () => {
          if (!area || area.contains(node)) return;
          const typed = findField(view.node)?.value ?? "";
          close(false);
          const next = await waitFor(() => findPanel(area));
          if (next && !panel.isDisposed && !chats.has(panel)) await moveToSide(panel, next, typed);
          else closeEmptySide();
        };
        const close = (isFinal = true) => {
          if (chats.get(panel)?.view !== view) return;
          chats.delete(panel);
          rerun.disconnect();
          panel.disposed.disconnect(closeForGood);
          cells.changed.disconnect(closeWithCell);
          place.remove();
          node.hidden = false;
          type(findField(node), findField(view.node)?.value);
          view.dispose();
          if (isFinal) closeEmptySide();
          showCurrent();
        };
        const closeForGood = () => close();
        const closeWithCell = () => {
          if (cell?.isDisposed) close(); // its chat has no place any more
        };
        chats.get(panel)?.close(false);
        openSide();
        chats.set(panel, { view, node, close });
        node.parentElement?.append(place);
        node.hidden = true;
        if (area) rerun.observe(area, { childList: true });
        panel.disposed.connect(closeForGood);
        cells.changed.connect(closeWithCell);
        side.addWidget(view);
        showCurrent();
        if (draft === null) app.shell.activateById(side.id);
        await view.renderModel(rendermime.createModel({ data, trusted: true }));
        const field = await waitFor(() => findField(view.node));
        if (draft === null) field?.focus();
        else if (draft) type(field, draft);
      };

      // What a view at the side wants of its cell: to run again, after a restart.
      document.addEventListener(RUN_EVENT, (event) => {
        const chat = findChat(/** @type {Node} */ (event.target));
        if (!chat) return;
        const { detail } = /** @type {CustomEvent} */ (event);
        const forCell = new CustomEvent(RUN_EVENT, { bubbles: true, cancelable: true, detail });
        if (!chat.node.dispatchEvent(forCell)) event.preventDefault();
      });

      /** @param {Node} node */
      const findChat = (node) => [...chats.values()].find(({ view }) => view.node.contains(node));

      document.addEventListener(MOVE_EVENT, (event) => {
        event.preventDefault(); // the answer that it can be done
        if (/** @type {CustomEvent} */ (event).detail?.isProbe) return;
        const node = /** @type {HTMLElement} */ (event.target);
        const chat = findChat(node);
        if (chat) {
          chat.close();
          findField(chat.node)?.focus();
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
          const kernelName = app.serviceManager?.kernelspecs?.specs?.default; // without one a dialog asks for it
          const panel = tracker.currentWidget ?? (await app.commands.execute("notebook:create-new", { kernelName }));
          if (!panel?.content?.model) return;
          await panel.sessionContext?.ready;
          const chat = chats.get(panel);
          if (chat) {
            app.shell.activateById(side.id);
            findField(chat.view.node)?.focus();
            return;
          }
          const node = findPanelOf(panel) ?? (await runNewPanel(app, panel));
          if (node) await moveToSide(panel, node);
        },
      });
      app.commands.addKeyBinding({ command: OPEN, keys: KEYS, selector: "body" });
      palette?.addItem({ command: OPEN, category: "Notebook Operations" });
      launcherModel?.add({ command: OPEN, args: { isLauncher: true }, category: "Other", rank: 50 });
    },
  };
}

/** @param {Element} root @returns {HTMLElement | null} */
const findPanel = (root) => root.querySelector(".orchat-panel[data-widget]");

/**
 * @param {any} panel A notebook, whose cells out of sight are not in the page.
 * @returns {HTMLElement | null}
 */
function findPanelOf(panel) {
  for (const { node } of panel.content.widgets) {
    const found = findPanel(node);
    if (found) return found;
  }
  return null;
}

/** @param {Element} root @returns {HTMLTextAreaElement | null} */
const findField = (root) => root.querySelector(".orchat-text-input");

/**
 * Put what was typed in one view of a panel into another one.
 *
 * @param {HTMLTextAreaElement | null} field
 * @param {string | undefined} words
 */
function type(field, words) {
  if (!field || words === undefined || field.value === words) return;
  field.value = words;
  field.dispatchEvent(new Event("input"));
}

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
  return waitFor(() => findPanelOf(panel));
}

/**
 * @template T
 * @param {() => T | null} find
 * @returns {Promise<T | null>}
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

/** @param {() => void} onBack What stands in the cell of a panel that is at the side. */
const createPlaceholder = (onBack) =>
  createNotice("orchat-moved", STRINGS.moved, "orchat-bring-back", STRINGS.back, onBack);

/** @param {() => void} onOpen What stands at the side of a notebook without a chat. */
const createOffer = (onOpen) =>
  createNotice("orchat-side-offer", STRINGS.none, "orchat-open-side-chat", STRINGS.openHere, onOpen);

/**
 * A text with a button.
 *
 * @param {string} kind @param {string} text @param {string} buttonKind @param {string} label @param {() => void} onClick
 */
function createNotice(kind, text, buttonKind, label, onClick) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `orchat-button orchat-outlined ${buttonKind}`;
  button.textContent = label;
  button.addEventListener("click", onClick);
  const node = document.createElement("div");
  node.className = `orchat-turn ${kind}`;
  node.append(text, button);
  return node;
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16"><path class="jp-icon3" fill="none"
 stroke="#616161" stroke-width="1.3" stroke-linejoin="round" d="M2.5 3h11v8H7.5L4.5 13.5V11h-2z"/></svg>`;
