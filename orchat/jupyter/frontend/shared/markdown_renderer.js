/**
 * Safe Markdown as elements of the page: by Jupyter's own renderer where the front end lends it, else from HTML that
 * the kernel made. Either way nothing that comes out runs, and nothing is fetched before a person asks for it.
 *
 * What comes in is untrusted; the kernel has made it safe (`orchat.jupyter.kernel.output.markdown_sanitizer`), and this
 * is the second fence: `clean` knows what may be there and takes out the rest.
 *
 * @typedef {{createRenderer(mime: string): any, createModel(options: object): any, latexTypesetter?: any}} Rendermime
 * @typedef {(md: string, html: string, live: boolean) => Promise<DocumentFragment>} Render
 */

import { STRINGS } from "../view/view_messages.js";

const TAGS = new Set(
  ("P H1 H2 H3 H4 H5 H6 UL OL LI BLOCKQUOTE HR BR EM STRONG S DEL CODE PRE A SPAN DIV TABLE THEAD TBODY TR TH TD INPUT")
    .split(" "),
);
const ALIGNED = /text-align:\s*(left|right|center)/;
const LONG_CODE = 2_000;

/**
 * Find the renderer that a front end lends to widgets; none is promised.
 *
 * @param {any} model A widget's model, or anywidget's proxy of it.
 * @returns {Rendermime | null}
 */
export function rendermimeOf(model) {
  const manager = model?.widget_manager;
  const found = manager?._rendermime ?? manager?.rendermime;
  return typeof found?.createRenderer === "function" && typeof found?.createModel === "function" ? found : null;
}

/**
 * @param {Rendermime | null} rendermime
 * @param {HTMLElement} stage Where formulas are measured: in the page, but not seen.
 * @returns {Render}
 */
export function renderer(rendermime, stage) {
  return async (md, html, live) => {
    if (live && isLongCode(md)) return plainCode(md);
    const node = rendermime ? await byJupyter(rendermime, stage, md) : byKernel(html);
    clean(node);
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
async function byJupyter(rendermime, stage, md) {
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
  const kept = document.createElement("div");
  kept.append(...node.childNodes);
  rendered.dispose();
  return kept;
}

/**
 * The kernel's HTML: parsed where nothing loads or runs, then copied piece by piece.
 *
 * @param {string} html
 */
function byKernel(html) {
  const kept = document.createElement("div");
  copy(new DOMParser().parseFromString(html, "text/html").body, kept);
  return kept;
}

/**
 * @param {Node} from
 * @param {Node} to
 */
function copy(from, to) {
  for (const child of from.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      to.appendChild(document.createTextNode(child.nodeValue ?? ""));
      continue;
    }
    if (!(child instanceof Element) || !TAGS.has(child.tagName)) continue;
    const twin = document.createElement(child.tagName);
    const kind = child.getAttribute("class") ?? "";
    if (/^[\w+# -]{1,60}$/.test(kind) && /^(SPAN|CODE)$/.test(child.tagName)) {
      twin.className = child.tagName === "SPAN" ? kind.replace(/\S+/g, "pyg-$&") : kind;
    }
    if (twin instanceof HTMLAnchorElement) twin.setAttribute("href", child.getAttribute("href") ?? "");
    if (twin instanceof HTMLOListElement) twin.start = Number(child.getAttribute("start") ?? 1) || 1;
    const aligned = ALIGNED.exec(child.getAttribute("style") ?? "");
    if (aligned) twin.style.textAlign = aligned[1];
    copy(child, twin);
    to.appendChild(twin);
  }
}

/**
 * Take out of rendered Markdown what it has no business with; links lead away from the page, and to the web only.
 *
 * @param {HTMLElement} root
 */
export function clean(root) {
  for (const element of root.querySelectorAll("*")) {
    if (element.closest("mjx-container, .MathJax")) continue;
    if (!TAGS.has(element.tagName)) element.remove();
    for (const { name } of [...element.attributes]) {
      if (name.startsWith("on") || name === "src" || name === "srcset") element.removeAttribute(name);
    }
    if (element instanceof HTMLAnchorElement) guard(element);
    if (element instanceof HTMLInputElement) element.disabled = true;
  }
  for (const anchor of root.querySelectorAll("mjx-container a, .MathJax a")) anchor.removeAttribute("href");
}

/**
 * @param {HTMLAnchorElement} anchor
 */
function guard(anchor) {
  if (anchor.classList.contains("jp-InternalAnchorLink")) {
    anchor.remove(); // of a heading; it would lead nowhere in a view
    return;
  }
  const url = webAddress(anchor.getAttribute("href") ?? "");
  if (!url) {
    anchor.removeAttribute("href");
    return;
  }
  anchor.href = url.href;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer";
  const before = anchor.previousSibling;
  // Safe Markdown has made a link of each image.
  if (before instanceof Text && before.data.endsWith("!") && /^https?:$/.test(url.protocol)) offerImage(anchor, url);
}

/**
 * @param {string} href
 * @returns {URL | null}
 */
export function webAddress(href) {
  try {
    const url = new URL(href);
    return /^(https?|mailto):$/.test(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/**
 * Put a button behind the link that an image has become: only a click loads it.
 *
 * @param {HTMLAnchorElement} anchor
 * @param {URL} url
 */
function offerImage(anchor, url) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "orchat-button orchat-image";
  button.textContent = `${STRINGS.showImage} ${url.host}`;
  button.dataset.address = url.href;
  anchor.after(" ", button);
}

/**
 * What a click on a button of `offerImage` does; one listener for a whole view, for blocks are made anew.
 *
 * @param {HTMLButtonElement} button
 */
export function loadImage(button) {
  const url = webAddress(button.dataset.address ?? "");
  if (!url) return;
  const image = document.createElement("img");
  image.referrerPolicy = "no-referrer";
  image.alt = button.previousElementSibling?.textContent ?? "";
  image.src = url.href;
  button.replaceWith(image);
}

/**
 * Code that is long and still grows is shown plainly: to colour it anew with each token would take ever longer.
 *
 * @param {string} md
 */
function isLongCode(md) {
  return md.length > LONG_CODE && /^`{3,}[^\n]*\n/.test(md);
}

/**
 * @param {string} md
 */
function plainCode(md) {
  const lines = md.trimEnd().split("\n");
  const fragment = document.createDocumentFragment();
  const pre = document.createElement("pre");
  const code = document.createElement("code");
  code.textContent = lines.slice(1, -1).join("\n");
  pre.append(code);
  fragment.append(pre);
  return fragment;
}
