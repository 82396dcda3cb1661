/**
 * Create an element.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [name] Its class.
 * @param {(Node | string)[]} children Strings become text nodes.
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, name, ...children) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  node.append(...children);
  return node;
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
 * Set an element's text if it differs, so that mutation observers are not triggered for nothing.
 *
 * @param {HTMLElement} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Return a line of text as nodes: what stands between backticks is code, as far as they come in pairs.
 *
 * @param {string} words
 * @returns {(string | HTMLElement)[]}
 */
export function withCode(words) {
  const pieces = words.split("`");
  if (pieces.length % 2 === 0) return [words];
  return pieces.map((piece, i) => (i % 2 ? element("code", "", piece) : piece));
}
