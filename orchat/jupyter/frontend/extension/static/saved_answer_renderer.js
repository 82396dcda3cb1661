/**
 * The MIME renderer of saved answers: the bundle's Markdown by JupyterLab's own renderer, never as trusted and without
 * images; below it, folded, details such as model, tokens and cost.
 *
 * A saved output is untrusted: texts are inserted as text. If rendering fails, the plain text is shown.
 */

const MIME_TYPE = "application/vnd.orchat.v1+json";
const IMAGE_DATA_URL = /^data:image\/(?:png|jpeg|gif|webp);/i;

/** The extras that are shown, in this order, with their labels. @type {[string, string][]} */
const DETAIL_ROWS = [
  ["requested", "model asked for"],
  ["model", "model that answered"],
  ["provider", "provider"],
  ["finish_reason", "finish reason"],
  ["ending", "ended"],
  ["usage", "tokens"],
  ["cost", "cost in $"],
  ["seconds", "seconds"],
  ["parameters", "parameters"],
  ["id", "id"],
  ["request", "request"],
  ["orchat", "orchat"],
];

const STYLE = `
.orchat-saved details { padding: 0 0 4px; color: var(--jp-ui-font-color1, inherit); }
.orchat-saved summary { cursor: pointer; width: fit-content; font-size: var(--jp-ui-font-size1, 13px); }
.orchat-saved details dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 12px; margin: 4px 0 0; }
.orchat-saved details :is(dt, dd) { float: none; width: auto; margin: 0; padding: 0; line-height: 1.4; }
.orchat-saved details :is(dt, dd) { font-size: var(--jp-ui-font-size1, 13px); }
.orchat-saved details dt { font-weight: 600; white-space: nowrap; }
.orchat-saved details dd { overflow-wrap: anywhere; font-family: var(--jp-code-font-family, monospace); }
.orchat-saved pre { white-space: pre-wrap; overflow-wrap: anywhere; }
`;

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

/** @param {unknown} value @returns {string} */
function summarize(value) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "object") return String(value).slice(0, 500);
  const flat = Object.entries(value).filter(([, each]) => each !== null && typeof each !== "object" && each !== 0);
  return flat
    .map(([name, each]) => `${name.replaceAll("_", " ")} ${each}`)
    .join(" · ")
    .slice(0, 500);
}

/**
 * @param {unknown} extras
 * @returns {HTMLElement | null}
 */
function createDetails(extras) {
  if (extras === null || typeof extras !== "object") return null;
  const known = /** @type {Record<string, unknown>} */ (extras);
  const list = document.createElement("dl");
  for (const [name, label] of DETAIL_ROWS) {
    const text = Object.hasOwn(known, name) ? summarize(known[name]) : "";
    if (!text) continue;
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = label;
    value.textContent = text;
    list.append(term, value);
  }
  if (!list.children.length) return null;
  const fold = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = "Details";
  fold.append(summary, list);
  return fold;
}

/** @param {unknown} value @returns {string} */
const joinText = (value) => (Array.isArray(value) ? value.join("") : typeof value === "string" ? value : "");

function addStyle() {
  if (document.getElementById("orchat-saved-style")) return;
  const style = document.createElement("style");
  style.id = "orchat-saved-style";
  style.textContent = STYLE;
  document.head.append(style);
}

/**
 * @param {{id: string, rendermime: any, widgets: any}} options
 * @returns {object} an IRenderMime.IExtension
 */
export function createRendererExtension({ id, rendermime, widgets }) {
  const { MimeModel, markdownRendererFactory } = rendermime;

  class SavedAnswer extends widgets.Panel {
    /** @param {any} options */
    constructor(options) {
      super();
      this.options = options;
      this.addClass("orchat-saved");
      addStyle();
    }

    /** @param {any} model @returns {Promise<void>} */
    async renderModel(model) {
      const markdown = joinText(model.data["text/markdown"]);
      let body;
      try {
        if (!markdown) throw new Error("the bundle holds no Markdown");
        body = await this.rendered(markdown);
      } catch {
        body = createPlainText(joinText(model.data["text/plain"]) || markdown || "This answer holds no text.");
      }
      while (this.widgets.length) this.widgets[0].dispose();
      this.addWidget(body);
      const below = createDetails(model.data[MIME_TYPE]);
      if (below) this.addWidget(new widgets.Widget({ node: below }));
    }

    /** @param {string} markdown @returns {Promise<any>} */
    async rendered(markdown) {
      const sanitizer = withoutImages(this.options.sanitizer);
      const widget = markdownRendererFactory.createRenderer({ ...this.options, sanitizer, mimeType: "text/markdown" });
      const data = { "text/markdown": defuseDiagrams(markdown) };
      await widget.renderModel(new MimeModel({ data, trusted: false }));
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
    dataType: "json",
    rendererFactory: {
      safe: true,
      mimeTypes: [MIME_TYPE],
      createRenderer: (/** @type {any} */ options) => new SavedAnswer(options),
    },
  };
}
