/**
 * Icons of orchat's own, drawn with lines of the text's colour on a grid of 16 pixels.
 */

const SVG = "http://www.w3.org/2000/svg";

/** The outlines of each icon. @type {Record<string, string>} */
const PATHS = {
  again: "M13 8a5 5 0 1 1-1.5-3.6M13 2.5V5h-2.5",
  attach: "M8 3v10M3 8h10",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  done: "M3 8.5l3.5 3.5L13 5",
  edit: "M3 13l.6-2.8L10.8 3 13 5.2 5.8 12.4z",
  insert: "M2.5 2.5h11v4h-11zM8 9.5v5M5.5 12h5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  next: "M6 3.5L10.5 8 6 12.5",
  previous: "M10 3.5L5.5 8l4.5 4.5",
  replace: "M2.5 4.5h9M9 2l2.5 2.5L9 7M13.5 11.5h-9M7 9l-2.5 2.5L7 14",
  send: "M8 13V3M4 7l4-4 4 4",
  settings: "M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M7.5 11.5h6M8.5 4.5a1.7 1.7 0 1 0 3.5 0 1.7 1.7 0 1 0-3.5 0"
    + "M4 11.5a1.7 1.7 0 1 0 3.5 0 1.7 1.7 0 1 0-3.5 0",
  stop: "M4.5 4.5h7v7h-7z",
  undo: "M5.5 3L3 5.5 5.5 8M3 5.5h6.5a3.5 3.5 0 0 1 0 7H6",
  redo: "M10.5 3L13 5.5 10.5 8M13 5.5H6.5a3.5 3.5 0 0 0 0 7H10",
  chat: "M2.5 3h11v8H7.5L4.5 13.5V11h-2z",
  newChat: "M13.5 7.5V11H7.5L4.5 13.5V11h-2V3H8M11.5 1.5v5M9 4h5",
  remove: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.5 9h6l.5-9",
  down: "M3.5 6L8 10.5 12.5 6",
};

/**
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "orchat-icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name] ?? "");
  path.setAttribute("fill", name === "stop" ? "currentColor" : "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", name === "more" ? "2" : "1.3");
  path.setAttribute("stroke-linecap", "round");
  path.setAttribute("stroke-linejoin", "round");
  svg.append(path);
  return svg;
}

/**
 * @param {string} name The icon.
 * @param {string} label What it does, for screen readers and as the tooltip.
 * @param {string} kind A class.
 * @param {() => void} [pressed]
 * @returns {HTMLButtonElement}
 */
export function iconButton(name, label, kind, pressed) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `orchat-button orchat-icon-button ${kind}`;
  button.append(icon(name));
  setLabel(button, label);
  if (pressed) button.addEventListener("click", pressed);
  return button;
}

/**
 * @param {HTMLElement} button
 * @param {string} label
 */
export function setLabel(button, label) {
  button.title = label;
  button.setAttribute("aria-label", label);
}

/**
 * @param {HTMLElement} button
 * @param {string} name Another icon.
 */
export function setIcon(button, name) {
  button.replaceChildren(icon(name));
}
