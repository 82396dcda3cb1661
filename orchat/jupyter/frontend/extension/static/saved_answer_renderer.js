/**
 * The MIME renderer of saved answers: the bundle's Markdown by JupyterLab's own renderer, never as trusted and without
 * images, in the look of the live view; details such as model, tokens and cost are folded into the last line.
 *
 * The bundle says how long the parts of its Markdown are, and of what kind; without that all of it is text. A saved
 * output is untrusted: texts are inserted as text. If rendering fails, the plain text is shown.
 */

import { prepareBlocks } from "./block_accessibility.js";
import { createDetails } from "./answer_details.js";
import { canDo, doWithCode, replaceLabel } from "./code_events.js";
import { frameCode } from "./code_block.js";
import { createErrorActions } from "./error_card_buttons.js";

const MIME_TYPE = "application/vnd.orchat.v1";
const OLD_MIME_TYPE = "application/vnd.orchat.v1+json";

/** The parts of an answer that are one line each, with their classes. @type {Record<string, string>} */
const LINES = {
  reasoning: "orchat-reasoning",
  call: "orchat-line-call",
  failed: "orchat-line-call orchat-line-failed",
  footer: "orchat-footer",
};

/** Those that are no text of the model, with their classes. @type {Record<string, string>} */
const BLOCKS = { sources: "orchat-sources", error: "orchat-error-card", note: "orchat-saved-note" };
const IMAGE_DATA_URL = /^data:image\/(?:png|jpeg|gif|webp);/i;

/**
 * Replace images in HTML by links before the page loads them: a remote image reveals that the notebook was opened.
 *
 * @param {string} html
 * @returns {string}
 */
function replaceImages(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html"); // inert: it loads and runs nothing
  for (const node of parsed.querySelectorAll("img, picture, source, video, audio, svg, input[type=image]")) {
    const source = node.getAttribute("src") ?? "";
    if (node.localName === "img" && IMAGE_DATA_URL.test(source) && !node.hasAttribute("srcset")) continue;
    const link = parsed.createElement("a");
    if (/^https?:\/\//i.test(source)) {
      link.href = source;
      link.rel = "noopener noreferrer";
      link.target = "_blank";
    }
    link.textContent = `[${node.getAttribute("alt") || source.slice(0, 200) || "image"}]`;
    node.replaceWith(link);
  }
  for (const node of parsed.querySelectorAll("[style], [background]")) {
    node.removeAttribute("background");
    if (/url|image|\\/i.test(node.getAttribute("style") ?? "")) node.removeAttribute("style");
  }
  return parsed.body.innerHTML;
}

/**
 * Break the word by which JupyterLab draws a fence as a diagram, whose resources it would load before it sanitizes.
 *
 * @param {string} markdown
 * @returns {string}
 */
function defuseDiagrams(markdown) {
  return markdown.replace(/(?:`{3,}|~{3,})[^\n]*/g, (fence) => fence.replace(/(mer)(maid)/gi, "$1\u200b$2"));
}

/**
 * @param {any} sanitizer JupyterLab's
 * @returns {object} A sanitizer that replaces images as well.
 */
function withoutImages(sanitizer) {
  return new Proxy(sanitizer, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (name === "sanitize") {
        return (/** @type {any[]} */ ...all) => replaceImages(value.apply(target, all));
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/**
 * @param {string} markdown
 * @param {any} extras
 * @returns {[string, string][]} Kind and Markdown of each part of an answer.
 */
function splitParts(markdown, extras) {
  const sizes = Array.isArray(extras?.parts) ? extras.parts : [];
  /** @type {[string, string][]} */
  const parts = [];
  let at = 0;
  for (const part of sizes) {
    const [kind, length] = Array.isArray(part) ? part : [];
    if (typeof kind !== "string" || !Number.isInteger(length) || length <= 0) return [["text", markdown]];
    parts.push([kind, markdown.slice(at, at + length)]);
    at += length;
    if (at < markdown.length && markdown.slice(at, at + 2) !== "\n\n") return [["text", markdown]];
    at += 2;
  }
  return parts.length && at - 2 === markdown.length ? parts : [["text", markdown]];
}

/**
 * Make one line of a rendered paragraph, which is shown wholly when it is opened.
 *
 * @param {HTMLElement} rendered
 * @param {string} kind
 * @returns {HTMLDetailsElement}
 */
function createLine(rendered, kind) {
  const line = document.createElement("details");
  line.className = `orchat-line ${kind}`;
  const summary = document.createElement("summary");
  const paragraph = rendered.querySelector("p") ?? rendered;
  const inner = paragraph.children.length === 1 && paragraph.firstElementChild?.localName === "em"
    && paragraph.firstElementChild.textContent === paragraph.textContent ? paragraph.firstElementChild : paragraph;
  summary.append(...inner.childNodes);
  line.append(summary);
  return line;
}

/** @param {unknown} value @returns {string} */
const joinText = (value) => (Array.isArray(value) ? value.join("") : typeof value === "string" ? value : "");

/**
 * @param {any} data The MIME bundle.
 * @returns {unknown} What it holds beside the answer's text; null where that is damaged.
 */
function readExtras(data) {
  if (data[MIME_TYPE] === undefined) return data[OLD_MIME_TYPE];
  try {
    return JSON.parse(joinText(data[MIME_TYPE]));
  } catch {
    return null;
  }
}

function addStyle() {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = new URL("answer.css", import.meta.url).href;
  document.head.append(style);
}

/**
 * @param {{id: string, rendermime: any, widgets: any}} options
 * @returns {object} an IRenderMime.IExtension
 */
export function createRendererExtension({ id, rendermime, widgets }) {
  const { MimeModel, markdownRendererFactory } = rendermime;

  addStyle();

  class SavedAnswer extends widgets.Panel {
    /** @param {any} options */
    constructor(options) {
      super();
      this.options = options;
      this.addClass("orchat-saved");
    }

    /** @param {any} model @returns {Promise<void>} */
    async renderModel(model) {
      const markdown = joinText(model.data["text/markdown"]);
      const extras = readExtras(model.data);
      let parts;
      try {
        if (!markdown) throw new Error("the bundle holds no Markdown");
        parts = await Promise.all(splitParts(markdown, extras).map(([kind, text]) => {
          return this.renderPart(kind, text, /** @type {any} */ (extras));
        }));
      } catch {
        parts = [createPlainText(joinText(model.data["text/plain"]) || markdown || "This answer holds no text.")];
      }
      while (this.widgets.length) this.widgets[0].dispose();
      for (const part of parts) this.addWidget(part);
      const isFooterBelow = /** @type {any} */ (extras)?.footer === "below"; // behind the answer's pictures
      const details = isFooterBelow ? null : createDetails(extras);
      if (details) this.addDetails(details);
    }

    /** @param {string} kind @param {string} markdown @param {any} extras @returns {Promise<any>} */
    async renderPart(kind, markdown, extras) {
      const rendered = await this.renderMarkdown(markdown);
      const { node } = rendered;
      if (Object.hasOwn(LINES, kind)) {
        const line = createLine(node, LINES[kind]);
        rendered.dispose();
        return new widgets.Widget({ node: line });
      }
      const part = new widgets.Panel();
      part.addWidget(rendered); // stays as it is, for its formulas are drawn when it is attached
      part.addClass(BLOCKS[kind] ?? "orchat-text");
      const buttons = kind === "error" ? createErrorActions(extras?.actions) : null;
      if (buttons) part.addWidget(new widgets.Widget({ node: buttons }));
      if (!Object.hasOwn(BLOCKS, kind)) {
        rendered.addClass("orchat-block");
        frameCode(node, {
          insert: canDo("insert") ? (code) => doWithCode(node, "insert", code) : undefined,
          replace: canDo("replace") ? (code) => doWithCode(node, "replace", code, extras?.fixes) : undefined,
          replaceLabel: replaceLabel(extras?.fixes),
        });
      }
      return part;
    }

    /** @param {HTMLElement} details */
    addDetails(details) {
      const footer = this.node.querySelector(":scope > .orchat-footer");
      if (footer) {
        footer.append(details);
        return;
      }
      const line = document.createElement("details");
      line.className = "orchat-line orchat-footer";
      const summary = document.createElement("summary");
      summary.textContent = "Details";
      line.append(summary, details);
      this.addWidget(new widgets.Widget({ node: line }));
    }

    /** @param {string} markdown @returns {Promise<any>} */
    async renderMarkdown(markdown) {
      const sanitizer = withoutImages(this.options.sanitizer);
      const widget = markdownRendererFactory.createRenderer({ ...this.options, sanitizer, mimeType: "text/markdown" });
      const data = { "text/markdown": defuseDiagrams(markdown) };
      await widget.renderModel(new MimeModel({ data, trusted: false }));
      prepareBlocks(widget.node);
      return widget;
    }
  }

  /** @param {string} text @returns {any} */
  function createPlainText(text) {
    const node = document.createElement("pre");
    node.textContent = text;
    return new widgets.Widget({ node });
  }

  return {
    id,
    rank: 0,
    dataType: "string",
    rendererFactory: {
      safe: true,
      mimeTypes: [MIME_TYPE, OLD_MIME_TYPE],
      createRenderer: (/** @type {any} */ options) => new SavedAnswer(options),
    },
  };
}
