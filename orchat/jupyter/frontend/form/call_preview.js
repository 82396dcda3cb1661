/**
 * What a tool's author says that a call would do. It comes as safe Markdown, and is drawn as a model's words are.
 *
 * @typedef {import("../view/view_reducer.js").Block} Block
 */

import { element } from "../shared/elements.js";

/**
 * @param {import("../shared/markdown_renderer.js").Render | undefined} render Without it the text stays text.
 * @param {string} label
 */
export function createPreview(render, label) {
  const words = element("div", "orchat-text jp-RenderedHTMLCommon jp-RenderedMarkdown");
  const node = element("div", "orchat-preview", words);
  node.hidden = true;
  node.tabIndex = 0; // a long one is scrolled
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", label);
  node.setAttribute("aria-live", "polite");
  let shown = "";
  let count = 0;
  return {
    node,
    /** @param {Block | null} block */
    async set(block) {
      const number = ++count;
      node.hidden = !block;
      if (!block || block.md === shown) return;
      const drawn = render ? await render(block.md, block.html ?? "", false) : block.md;
      if (number !== count) return; // another one has come meanwhile
      shown = block.md;
      words.replaceChildren(drawn);
    },
    /** @param {boolean} stale Whether the arguments have changed since, or do not fit. */
    setStale(stale) {
      node.classList.toggle("orchat-stale", stale);
    },
  };
}
