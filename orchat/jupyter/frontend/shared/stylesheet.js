/**
 * Add the stylesheet to the document or shadow root of an element, once.
 *
 * @param {HTMLElement} element
 * @param {string} css
 */
export function addStyles(element, css) {
  const root = element.getRootNode();
  const container = root instanceof ShadowRoot ? root : document.head;
  for (const style of container.querySelectorAll("style.orchat-styles")) {
    if (style.textContent === css) return;
  }
  const style = document.createElement("style");
  style.className = "orchat-styles";
  style.textContent = css;
  container.append(style);
}
