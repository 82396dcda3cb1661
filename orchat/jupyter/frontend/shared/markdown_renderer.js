/**
 * Render sanitized Markdown as elements: by Jupyter's own renderer where the front end provides it, else from HTML that
 * the kernel made. Nothing in the result runs, and nothing is fetched before a person clicks.
 *
 * The Markdown is untrusted; the kernel has sanitized it (`orchat.jupyter.kernel.output.markdown_sanitizer`), and
 * `sanitize` is the second line of defence: an allow list of elements and attributes.
 *
 * @typedef {{createRenderer(mime: string): any, createModel(options: object): any, latexTypesetter?: any}} Rendermime
 * @typedef {(md: string, html: string, live: boolean) => Promise<DocumentFragment>} Render
 */

import { prepareBlocks } from "../extension/static/block_accessibility.js";
import { STRINGS } from "../view/view_strings.js";

const ALLOWED_TAGS = new Set(
  ("P H1 H2 H3 H4 H5 H6 UL OL LI BLOCKQUOTE HR BR EM STRONG S DEL CODE PRE A SPAN DIV TABLE THEAD TBODY TR TH TD INPUT")
    .split(" "),
);
const TEXT_ALIGN = /text-align: ?(left|right|center)/;
const MAX_RICH_CODE = 2_000;

/**
 * Return the renderer that a front end provides to widgets; null where there is none.
 *
 * @param {any} model A widget's model, or anywidget's proxy of it.
 * @returns {Rendermime | null}
 */
export function findRendermime(model) {
  const manager = model?.widget_manager;
  const found = manager?._rendermime ?? manager?.rendermime;
  return typeof found?.createRenderer === "function" && typeof found?.createModel === "function" ? found : null;
}

/**
 * @param {Rendermime | null} rendermime
 * @param {HTMLElement} stage An invisible element of the page, in which formulas are measured.
 * @returns {Render}
 */
export function createMarkdownRenderer(rendermime, stage) {
  return async (md, html, live) => {
    if (live && isLongCode(md)) return renderPlainCode(md);
    const node = rendermime ? await renderWithJupyter(rendermime, stage, md) : parseKernelHtml(html);
    sanitize(node);
    prepareBlocks(node);
    const fragment = document.createDocumentFragment();
    fragment.append(...node.childNodes);
    return fragment;
  };
}

/**
 * @param {Rendermime} rendermime
 * @param {HTMLElement} stage
 * @param {string} md
 */
async function renderWithJupyter(rendermime, stage, md) {
  const rendered = rendermime.createRenderer("text/markdown");
  await rendered.renderModel(rendermime.createModel({ data: { "text/markdown": md }, trusted: false }));
  const node = /** @type {HTMLElement} */ (rendered.node);
  const typesetter = rendered.latexTypesetter ?? rendermime.latexTypesetter;
  if (typesetter && /[$]|\\begin\{/.test(md)) {
    stage.append(node);
    try {
      await typesetter.typeset(node);
    } finally {
      node.remove();
    }
  }
  const container = document.createElement("div");
  container.append(...node.childNodes);
  rendered.dispose();
  return container;
}

/**
 * Parse the kernel's HTML in an inert document, and copy its allowed nodes.
 *
 * @param {string} html
 */
function parseKernelHtml(html) {
  const kept = document.createElement("div");
  copyAllowedNodes(new DOMParser().parseFromString(html, "text/html").body, kept);
  return kept;
}

/**
 * @param {Node} from
 * @param {Node} to
 */
function copyAllowedNodes(from, to) {
  for (const child of from.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      to.appendChild(document.createTextNode(child.nodeValue ?? ""));
      continue;
    }
    if (!(child instanceof Element) || !ALLOWED_TAGS.has(child.tagName)) continue;
    const clone = document.createElement(child.tagName);
    const kind = child.getAttribute("class") ?? "";
    if (/^[\w+# -]{1,60}$/.test(kind) && /^(SPAN|CODE)$/.test(child.tagName)) {
      clone.className = child.tagName === "SPAN" ? kind.replace(/\S+/g, "pyg-$&") : kind;
    }
    if (clone instanceof HTMLAnchorElement) clone.setAttribute("href", child.getAttribute("href") ?? "");
    if (clone instanceof HTMLOListElement) clone.start = Number(child.getAttribute("start") ?? 1) || 1;
    const alignment = TEXT_ALIGN.exec(child.getAttribute("style") ?? "");
    if (alignment) clone.style.textAlign = alignment[1];
    copyAllowedNodes(child, clone);
    to.appendChild(clone);
  }
}

/**
 * Remove all but allowed elements and attributes from rendered Markdown; links open new pages of the web, or lead to a
 * place in this one.
 *
 * @param {HTMLElement} root
 */
export function sanitize(root) {
  for (const element of root.querySelectorAll("*")) {
    if (element.closest("mjx-container, .MathJax")) continue;
    if (!ALLOWED_TAGS.has(element.tagName)) element.remove();
    for (const { name } of [...element.attributes]) {
      if (name.startsWith("on") || name === "src" || name === "srcset") element.removeAttribute(name);
    }
    if (element instanceof HTMLAnchorElement) sanitizeLink(element);
    if (element instanceof HTMLInputElement) element.disabled = true;
  }
  for (const anchor of root.querySelectorAll("mjx-container a, .MathJax a")) anchor.removeAttribute("href");
}

/**
 * @param {HTMLAnchorElement} anchor
 */
function sanitizeLink(anchor) {
  if (anchor.classList.contains("jp-InternalAnchorLink")) {
    anchor.remove(); // of a heading; it would lead nowhere in a view
    return;
  }
  const href = anchor.getAttribute("href") ?? "";
  if (/^#./.test(href)) {
    anchor.target = "_self"; // a place in this page, as in a saved answer
    return;
  }
  const url = parseWebUrl(href);
  if (!url) {
    anchor.removeAttribute("href");
    return;
  }
  anchor.href = url.href;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  const previous = anchor.previousSibling;
  // The sanitizer has made a link of each image, behind an exclamation mark.
  const isImage = previous instanceof Text && previous.data.endsWith("!") && /^https?:$/.test(url.protocol);
  if (isImage) addImageButton(anchor, url);
}

/**
 * @param {string} href
 * @returns {URL | null}
 */
export function parseWebUrl(href) {
  try {
    const url = new URL(href);
    return /^(https?|mailto):$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/**
 * Add a button after the link of a remote image: only a click loads it.
 *
 * @param {HTMLAnchorElement} anchor
 * @param {URL} url
 */
function addImageButton(anchor, url) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "orchat-button orchat-load-image";
  button.textContent = `${STRINGS.showImage} ${url.host}`;
  button.dataset.address = url.href;
  anchor.after(" ", button);
}

/**
 * Load the image of a button of `addImageButton`. A view has one listener, since blocks are rendered anew.
 *
 * @param {HTMLButtonElement} button
 */
export function loadImage(button) {
  const url = parseWebUrl(button.dataset.address ?? "");
  if (!url) return;
  const image = document.createElement("img");
  image.referrerPolicy = "no-referrer";
  image.alt = button.previousElementSibling?.textContent ?? "";
  image.src = url.href;
  button.replaceWith(image);
}

/**
 * Return whether a block is long code, which is shown plainly while it grows: highlighting it anew is too slow.
 *
 * @param {string} md
 */
function isLongCode(md) {
  return md.length > MAX_RICH_CODE && md.startsWith("```") && md.includes("\n");
}

/**
 * @param {string} md
 */
function renderPlainCode(md) {
  const lines = md.trimEnd().split("\n");
  const fragment = document.createDocumentFragment();
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  code.textContent = lines.slice(1, -1).join("\n");
  pre.append(code);
  fragment.append(pre);
  return fragment;
}
