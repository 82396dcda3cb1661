/**
 * A call's preview: the tool's own description of its effect, as sanitized Markdown that is rendered like an answer.
 *
 * @typedef {import("../view/view_reducer.js").Block} Block
 */

import { element } from "../shared/elements.js";

/**
 * Mark the added and removed lines of a difference; Jupyter's highlighter leaves them black.
 *
 * @param {Element} code
 */
function colourDifference(code) {
  const lines = (code.textContent ?? "").replace(/\n$/, "").split("\n").map((line) => {
    const kind = line.startsWith("+") ? "orchat-added" : line.startsWith("-") ? "orchat-removed" : "";
    return element("span", `orchat-difference-line ${kind}`.trim(), `${line}\n`);
  });
  code.replaceChildren(...lines);
}

/**
 * @param {import("../shared/markdown_renderer.js").Render | undefined} render Without it Markdown is shown as text.
 * @param {string} label
 */
export function createPreview(render, label) {
  const content = element("div", "orchat-text jp-RenderedHTMLCommon jp-RenderedMarkdown");
  const node = element("div", "orchat-preview", content);
  node.hidden = true;
  node.tabIndex = 0; // a long one is scrolled
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", label);
  node.setAttribute("aria-live", "polite");
  let shownMarkdown = "";
  let updates = 0;
  return {
    node,
    /** @param {Block | null} block */
    async set(block) {
      const thisUpdate = ++updates;
      node.hidden = !block;
      if (!block || block.md === shownMarkdown) return;
      const drawn = render ? await render(block.md, block.html ?? "", false) : block.md;
      if (thisUpdate !== updates) return; // another one has come meanwhile
      shownMarkdown = block.md;
      content.replaceChildren(drawn);
      for (const code of content.querySelectorAll("code[class*='diff']")) colourDifference(code);
    },
    /** @param {boolean} stale Whether the arguments have changed since, or do not fit. */
    setStale(stale) {
      node.classList.toggle("orchat-stale", stale);
    },
  };
}
