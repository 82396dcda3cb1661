/**
 * The blocks of an answer, live or saved: of each the direction is that of its first letter, as paragraphs may be of
 * several languages, and a table can be scrolled by keyboard. How they look is in `answer.css`.
 */

/**
 * @param {Element} place An element whose children are the blocks of rendered Markdown.
 */
export function prepareBlocks(place) {
  for (const block of place.children) {
    if (/^(P|H[1-6]|UL|OL|BLOCKQUOTE|TABLE)$/.test(block.tagName)) block.setAttribute("dir", "auto");
  }
  for (const table of place.querySelectorAll("table")) table.tabIndex = 0;
}
