/**
 * Put the rules of all views into the document (or shadow root) that an element is in; again changes nothing.
 *
 * @param {HTMLElement} element
 * @param {string} css
 */
export function addStyles(element, css) {
  const root = element.getRootNode();
  const home = root instanceof ShadowRoot ? root : document.head;
  for (const style of home.querySelectorAll("style.orchat-styles")) {
    if (style.textContent === css) return;
  }
  const style = document.createElement("style");
  style.className = "orchat-styles";
  style.textContent = css;
  home.append(style);
}
