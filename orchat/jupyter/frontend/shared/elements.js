/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [name] Its class.
 * @param {(Node | string)[]} children Texts stay texts.
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

/**
 * @param {string} label
 * @param {string} name
 * @param {() => void} [pressed]
 */
export function button(label, name, pressed) {
  const made = element("button", `orchat-button ${name}`, label);
  made.type = "button";
  if (pressed) made.addEventListener("click", pressed);
  return made;
}

/**
 * Change an element's text only where it differs: whatever watches the page has less to do.
 *
 * @param {HTMLElement} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
