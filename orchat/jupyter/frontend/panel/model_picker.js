/**
 * The model picker: a search field, and the list of models that the kernel finds. Arrow keys move, Enter chooses.
 *
 * @typedef {import("./panel_reducer.js").Fields} Fields
 */

import { iconButton } from "../extension/static/icons.js";
import { button, element, setText } from "../shared/elements.js";
import { STRINGS } from "./panel_strings.js";

const SEARCH_DELAY = 150;
let pickerCount = 0;

/**
 * @param {{send: (message: object) => void, onChoose: (model: string) => void, onClose: () => void}} options
 */
export function createModelPicker({ send, onChoose, onClose }) {
  const id = `orchat-models-${++pickerCount}-${Date.now()}`;
  const field = element("input", "orchat-search");
  field.type = "text";
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-label", STRINGS.search);
  field.setAttribute("aria-controls", id);
  field.setAttribute("aria-expanded", "true");
  field.setAttribute("aria-autocomplete", "list");
  field.placeholder = STRINGS.search;
  const list = element("ul", "orchat-models");
  list.id = id;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", STRINGS.models);
  const note = element("p", "orchat-models-note");
  note.setAttribute("role", "status");
  const useButton = button(STRINGS.use, "orchat-use", () => field.value.trim() && choose(field.value.trim()));
  const title = element("strong", "orchat-picker-title");
  const close = iconButton("close", STRINGS.close, "orchat-close", () => onClose());
  const head = element("div", "orchat-picker-head", title, close);
  const searchRow = element("div", "orchat-picker-line", field, useButton);
  const others = element("ul", "orchat-models-apart");
  others.setAttribute("aria-label", STRINGS.noChat);
  const apart = element("div", "orchat-picker-apart", element("p", "orchat-models-note", STRINGS.noChat), others);
  apart.hidden = true;
  const node = element("div", "orchat-picker orchat-sheet", head, searchRow, note, list, apart);
  node.setAttribute("role", "group");
  node.hidden = true;

  let timer = 0;
  let queryNumber = 0;
  let activeIndex = -1;
  /** @type {Fields["models"]} */
  let shownModels;

  const requestModels = () => {
    setText(note, STRINGS.finding);
    send({ t: "models", query: field.value, n: ++queryNumber });
  };
  /** @param {string} model */
  function choose(model) {
    onChoose(model);
    onClose();
  }
  const options = () => /** @type {HTMLElement[]} */ ([...list.children]);
  /** @param {number} at */
  function activate(at) {
    const all = options();
    activeIndex = all.length ? Math.max(0, Math.min(at, all.length - 1)) : -1;
    all.forEach((option, i) => option.setAttribute("aria-selected", String(i === activeIndex)));
    if (activeIndex < 0) field.removeAttribute("aria-activedescendant");
    else {
      field.setAttribute("aria-activedescendant", all[activeIndex].id);
      all[activeIndex].scrollIntoView({ block: "nearest" });
    }
  }

  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = window.setTimeout(requestModels, SEARCH_DELAY);
  });
  field.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) activate(activeIndex + step);
    else if (event.key === "Enter") {
      const option = options()[activeIndex];
      if (option) choose(option.dataset.model ?? "");
      else if (field.value.trim()) choose(field.value.trim());
    } else return;
    event.preventDefault();
  });
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  });

  return {
    node,
    /** @param {string} words The heading: the purpose of the choice. */
    open(words) {
      setText(title, words);
      node.setAttribute("aria-label", words);
      node.hidden = false;
      field.value = "";
      field.focus();
      requestModels();
    },
    close() {
      node.hidden = true;
      clearTimeout(timer);
    },
    /** @param {Fields} fields */
    update({ models, model: current }) {
      if (models === shownModels || !models || models.n !== queryNumber) return;
      shownModels = models;
      const { list: found, total } = models;
      list.replaceChildren(...found.map(({ id: model, name, facts, badges }, i) => {
        const option = element("li", "orchat-model");
        const title = element("span", "orchat-model-name", name);
        if (model === current) {
          title.append(element("span", "orchat-badge orchat-current", STRINGS.current));
          option.setAttribute("aria-current", "true");
        }
        title.append(...(badges ?? []).map((badge) => element("span", "orchat-badge", badge)));
        option.append(title, element("code", "orchat-model-id", model), element("span", "orchat-model-facts", facts));
        option.id = `${id}-${i}`;
        option.title = model;
        option.dataset.model = model;
        option.setAttribute("role", "option");
        option.addEventListener("click", () => choose(model));
        return option;
      }));
      others.replaceChildren(...(models.apart ?? []).map(({ id: model, name, facts }) => {
        const row = element("li", "orchat-model-apart", element("span", "", name), element("span", "orchat-model-facts", facts));
        row.title = model;
        return row;
      }));
      apart.hidden = !models.apart?.length;
      const count = found.length < total ? `${found.length} ${STRINGS.of} ${total}. ` : "";
      setText(note, `${count}${models.note || (found.length ? "" : STRINGS.nothing)}`);
      activate(field.value ? 0 : found.findIndex(({ id: model }) => model === current));
    },
    dispose: () => clearTimeout(timer),
  };
}

/**
 * Return a model's name as words, of which a narrow panel leaves out the first: who offers it.
 *
 * @param {string} model
 * @returns {HTMLElement[]}
 */
export function modelWords(model) {
  const [vendor, ...name] = model.split("/");
  if (!name.length) return [element("span", "", model)];
  return [element("span", "orchat-model-vendor", `${vendor}/`), element("span", "", name.join("/"))];
}
