/**
 * Reasoning, folded; and pictures that a model made.
 *
 * @typedef {import("./view_reducer.js").ReasoningItem} ReasoningItem
 * @typedef {import("./view_reducer.js").PictureItem} PictureItem
 */

import { element, setText } from "../shared/elements.js";
import { STRINGS } from "./view_messages.js";

const PEEK = 90; // characters of what is being thought that show while it is folded
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif"]);

export function createReasoning() {
  const title = element("span", "orchat-reasoning-title");
  const peek = element("span", "orchat-peek");
  peek.setAttribute("aria-hidden", "true");
  const text = document.createTextNode("");
  const node = element("details", "orchat-reasoning", element("summary", "", title, peek));
  node.append(element("div", "orchat-thought", text));
  return {
    node,
    /** @param {ReasoningItem} item */
    update(item) {
      if (item.text.startsWith(text.data)) text.appendData(item.text.slice(text.length));
      else text.data = item.text;
      const count = `${item.text.length.toLocaleString()} ${STRINGS.characters}`;
      setText(title, item.live ? `${STRINGS.reasoning} …` : `${STRINGS.reasoning} (${count})`);
      setText(peek, item.live ? item.text.slice(-PEEK).replace(/\s+/g, " ") : "");
    },
    dispose() {},
  };
}

export function createPicture() {
  const node = element("img", "orchat-picture");
  node.alt = STRINGS.picture;
  return {
    node,
    /** @param {PictureItem} item */
    update(item) {
      // The kernel has looked at what it is; an address never comes here.
      if (PICTURES.has(item.type) && /^[\w+/=]*$/.test(item.data)) node.src = `data:${item.type};base64,${item.data}`;
    },
    dispose() {},
  };
}
