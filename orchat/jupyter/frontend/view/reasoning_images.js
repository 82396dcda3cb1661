/**
 * The views of reasoning, folded with a preview, and of images that a model generated.
 *
 * @typedef {import("./view_reducer.js").ReasoningItem} ReasoningItem
 * @typedef {import("./view_reducer.js").PictureItem} PictureItem
 */

import { element, setText } from "../shared/elements.js";
import { STRINGS } from "./view_strings.js";

const PREVIEW_LENGTH = 160; // characters that are shown while it is folded: the newest, and in the end the first
const IMAGE_TYPES = new Set(["image/png", "image/jpeg", "image/gif"]);

export function createReasoning() {
  const title = element("span", "orchat-reasoning-title");
  const preview = element("span", "orchat-reasoning-preview");
  preview.setAttribute("aria-hidden", "true");
  const text = document.createTextNode("");
  const node = element("details", "orchat-reasoning orchat-line", element("summary", "", title, preview));
  node.append(element("div", "orchat-reasoning-text", text));
  return {
    node,
    /** @param {ReasoningItem} item */
    update(item) {
      if (item.text.startsWith(text.data)) text.appendData(item.text.slice(text.length));
      else text.data = item.text;
      const count = `${item.text.length.toLocaleString()} ${STRINGS.characters}`;
      setText(title, item.live ? `${STRINGS.reasoning} … ` : `${STRINGS.reasoning} (${count}): `);
      const shown = item.live ? item.text.slice(-PREVIEW_LENGTH) : item.text.slice(0, PREVIEW_LENGTH);
      setText(preview, shown.replace(/\s+/g, " "));
    },
    dispose() {},
  };
}

/** @param {string} [about] What it is, for those who do not see it. */
export function createImage(about = STRINGS.picture) {
  const node = element("img", "orchat-generated-image");
  node.alt = about;
  return {
    node,
    /** @param {PictureItem} item */
    update(item) {
      // The kernel has checked the image's type; a URL never comes here.
      const isValid = IMAGE_TYPES.has(item.type) && /^[\w+/=]*$/.test(item.data);
      if (isValid) node.src = `data:${item.type};base64,${item.data}`;
    },
    dispose() {},
  };
}
