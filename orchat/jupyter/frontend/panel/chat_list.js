/**
 * The list of a panel's chats: their titles are searched, one is displayed, renamed or deleted.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { iconButton } from "../extension/static/icons.js";
import { element, setText } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

/**
 * @param {{send: (message: object) => void, onClose: () => void}} options
 */
export function createChatList({ send, onClose }) {
  const search = element("input", "orchat-chat-search");
  search.type = "search";
  search.placeholder = STRINGS.searchChats;
  search.setAttribute("aria-label", STRINGS.searchChats);
  search.addEventListener("input", () => filter());
  const list = element("ul", "orchat-chat-list");
  list.setAttribute("aria-label", STRINGS.chats);
  const nothing = element("p", "orchat-models-note", STRINGS.noSuchChat);
  nothing.setAttribute("role", "status");
  const close = iconButton("close", STRINGS.close, "orchat-close", () => onClose());
  const head = element("div", "orchat-picker-head", element("strong", "", STRINGS.chats), close);
  const node = element("div", "orchat-chats orchat-sheet", head, search, list, nothing);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", STRINGS.chats);
  node.hidden = true;
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  });

  function filter() {
    const words = search.value.trim().toLowerCase();
    for (const row of /** @type {HTMLElement[]} */ ([...list.children])) {
      row.hidden = !(row.dataset.title ?? "").toLowerCase().includes(words);
    }
    nothing.hidden = [...list.children].some((row) => !(/** @type {HTMLElement} */ (row).hidden));
  }

  /**
   * @param {string} name
   * @param {string} title
   * @param {boolean} isShown
   */
  function createRow(name, title, isShown) {
    const open = element("button", "orchat-button orchat-chat-title");
    open.type = "button";
    setText(open, title);
    if (isShown) open.setAttribute("aria-current", "true");
    open.addEventListener("click", () => {
      send({ t: "switch", name });
      onClose();
    });
    const rename = iconButton("edit", `${STRINGS.rename}: ${title}`, "orchat-rename-chat", () => {
      const field = element("input", "orchat-chat-search");
      field.value = title;
      field.setAttribute("aria-label", STRINGS.newName);
      let isDone = false;
      /** @param {boolean} isWanted */
      const end = (isWanted) => {
        if (isDone) return;
        isDone = true;
        field.replaceWith(open);
        const to = field.value.trim();
        if (isWanted && to && to !== title) send({ t: "rename", name, to });
      };
      field.addEventListener("blur", () => end(true));
      field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        end(event.key === "Enter");
        open.focus();
      });
      open.replaceWith(field);
      field.select();
      field.focus();
    });
    const remove = iconButton("remove", `${STRINGS.deleteChat}: ${title}`, "orchat-delete-chat", () => {
      if (remove.classList.contains("orchat-sure")) send({ t: "delete", name });
      else {
        remove.classList.add("orchat-sure");
        remove.replaceChildren(STRINGS.sure);
      }
    });
    remove.addEventListener("blur", () => {
      if (remove.classList.contains("orchat-sure")) draw();
    });
    const row = element("li", "orchat-chat", open, rename, remove);
    row.dataset.title = title;
    return row;
  }

  /** @type {Fields | null} */
  let fields = null;
  function draw() {
    if (!fields) return;
    const { chats, chat, titles } = fields;
    list.replaceChildren(...chats.map((name) => createRow(name, titles?.[name] ?? name, name === chat)).reverse());
    filter();
  }

  return {
    node,
    open() {
      node.hidden = false;
      search.value = "";
      filter();
      search.focus();
    },
    close() {
      node.hidden = true;
    },
    /** @param {Fields} next */
    update(next) {
      const isSame = next.chats === fields?.chats && next.chat === fields?.chat && next.titles === fields?.titles;
      const hadFocus = list.contains(document.activeElement);
      fields = next;
      if (isSame) return;
      draw();
      if (hadFocus && !node.hidden) search.focus();
    },
  };
}
