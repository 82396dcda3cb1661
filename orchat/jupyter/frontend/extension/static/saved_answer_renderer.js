/**
 * A mime renderer of saved answers. What there is to read is the bundle's Markdown, through JupyterLab's own renderer
 * but never as trusted, and without images; below it, on request, the figures that the Markdown has no room for.
 *
 * A saved output may have been written by anybody: texts go in as texts. Whatever fails, the plain text is shown.
 */

const MIME_TYPE = "application/vnd.orchat.v1+json";
const DRAWN = /^data:image\/(?:png|jpeg|gif|webp);/i;

/** What is shown of the extras, in this order. @type {[string, string][]} */
const ROWS = [
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
 * Take images out of HTML before a page sees it: an image from elsewhere tells that the notebook was opened.
 *
 * @param {string} html
 * @returns {string}
 */
function withoutImages(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html"); // inert: it loads and runs nothing
  for (const node of parsed.querySelectorAll("img, picture, source, video, audio, svg, input[type=image]")) {
    const source = node.getAttribute("src") ?? "";
    if (node.localName === "img" && DRAWN.test(source) && !node.hasAttribute("srcset")) continue;
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
 * Take the word apart by which JupyterLab draws what a fence holds, and loads what that names, before it sanitizes.
 *
 * @param {string} markdown
 * @returns {string}
 */
function withoutDrawings(markdown) {
  return markdown.replace(/(?:`{3,}|~{3,})[^\n]*/g, (fence) => fence.replace(/(mer)(maid)/gi, "$1\u200b$2"));
}

/**
 * @param {any} sanitizer JupyterLab's
 * @returns {object} one that takes images out besides
 */
function guarded(sanitizer) {
  return new Proxy(sanitizer, {
    get(target, name) {
      const value = Reflect.get(target, name);
      if (name === "sanitize") {
        return (/** @type {any[]} */ ...all) => withoutImages(value.apply(target, all));
      }
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** @param {unknown} value @returns {string} */
function words(value) {
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
function details(extras) {
  if (extras === null || typeof extras !== "object") return null;
  const known = /** @type {Record<string, unknown>} */ (extras);
  const list = document.createElement("dl");
  for (const [name, label] of ROWS) {
    const text = Object.hasOwn(known, name) ? words(known[name]) : "";
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
const textOf = (value) => (Array.isArray(value) ? value.join("") : typeof value === "string" ? value : "");

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
      const markdown = textOf(model.data["text/markdown"]);
      let body;
      try {
        if (!markdown) throw new Error("the bundle holds no Markdown");
        body = await this.rendered(markdown);
      } catch {
        body = plain(textOf(model.data["text/plain"]) || markdown || "This answer holds no text.");
      }
      while (this.widgets.length) this.widgets[0].dispose();
      this.addWidget(body);
      const below = details(model.data[MIME_TYPE]);
      if (below) this.addWidget(new widgets.Widget({ node: below }));
    }

    /** @param {string} markdown @returns {Promise<any>} */
    async rendered(markdown) {
      const sanitizer = guarded(this.options.sanitizer);
      const widget = markdownRendererFactory.createRenderer({ ...this.options, sanitizer, mimeType: "text/markdown" });
      const data = { "text/markdown": withoutDrawings(markdown) };
      await widget.renderModel(new MimeModel({ data, trusted: false }));
      return widget;
    }
  }

  /** @param {string} text @returns {any} */
  function plain(text) {
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
