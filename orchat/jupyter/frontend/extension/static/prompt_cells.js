/**
 * Cells that begin with `%%openrouter` hold prose: a JupyterLab plugin that gives their editors the language of Markdown
 * cells while that line is there, and marks that line and the `{fields}` that are replaced by variables.
 *
 * Which fields are replaced is decided by the kernel (`orchat.prompt_language`); the marks leave out what is code.
 */

import { listCells } from "./bridge_operations.js";

const MAGIC = /^\s{0,20}%%openrouter(?![\w-])/;
const MAGIC_END = 80; // characters: a change behind them makes no prompt, and ends none
const PROSE = "text/x-ipythongfm"; // JupyterLab's own for Markdown cells
const BRACES = /\{\{|\}\}|\{[^{}\n]{1,120}\}/g;
const FIELD = /^\{[\p{L}_][\p{L}\p{N}_]*[}.[]/u;
const CODE = /^(?:InlineCode|FencedCode|CodeBlock)$/;

const STYLE = `
.orchat-prompt-options, .orchat-prompt-options * {
  color: color-mix(in srgb, var(--jp-mirror-editor-meta-color, #a2f) 65%, var(--jp-content-font-color1, CanvasText)) !important;
  font-style: normal !important; font-weight: normal !important; text-decoration: none !important;
}
.orchat-prompt-field {
  background: color-mix(in srgb, var(--jp-brand-color1, #1976d2) 14%, transparent); border-radius: 2px;
}
.orchat-prompt-field, .orchat-prompt-field * {
  color: var(--jp-content-link-color, inherit) !important; text-decoration: none;
}
`;

/** @param {string} source */
const isPrompt = (source) => MAGIC.test(source.slice(0, MAGIC_END));

/**
 * Keep the language of a code cell's editor that of its text.
 *
 * @param {any} panel
 * @param {any} cell
 */
function watchCell(panel, cell) {
  if (cell.type !== "code") return;
  const setLanguage = () => {
    const { codeMimetype } = panel.content;
    if (isPrompt(cell.sharedModel.getSource())) cell.mimeType = PROSE;
    else if (cell.mimeType === PROSE) cell.mimeType = codeMimetype;
  };
  cell.sharedModel.changed.connect((/** @type {any} */ _, /** @type {any} */ { sourceChange }) => {
    if (sourceChange && !(sourceChange[0]?.retain > MAGIC_END)) setLanguage();
  });
  cell.mimeTypeChanged.connect(setLanguage); // the notebook sets it when it knows its kernel
  setLanguage();
}

/**
 * @param {{id: string, INotebookTracker: any, codemirror: any, view: any, language: any}} options The packages
 *   `@jupyterlab/codemirror`, `@codemirror/view` and `@codemirror/language`.
 * @returns {object} a JupyterFrontEndPlugin
 */
export function createPromptCellPlugin({ id, INotebookTracker, codemirror, view, language }) {
  return {
    id,
    autoStart: true,
    optional: [INotebookTracker, codemirror.IEditorExtensionRegistry],
    /** @param {any} _app @param {any} tracker @param {any} editors */
    activate(_app, tracker, editors) {
      if (!tracker) return;
      const style = document.createElement("style");
      style.textContent = STYLE;
      document.head.append(style);
      /** @type {WeakSet<object>} */
      const watched = new WeakSet();
      /** @param {any} panel */
      const watchPanel = (panel) => {
        const watchAll = () => {
          for (const cell of listCells(panel)) {
            if (watched.has(cell)) continue;
            watched.add(cell);
            watchCell(panel, cell);
          }
        };
        const watchModel = () => {
          panel.content.model?.cells.changed.connect(watchAll);
          watchAll();
        };
        panel.content.modelChanged.connect(watchModel);
        watchModel();
      };
      tracker.forEach(watchPanel);
      tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ panel) => watchPanel(panel));
      editors?.addExtension({
        name: "orchat-prompt-fields",
        factory: () => codemirror.EditorExtensionRegistry.createImmutableExtension(createFieldMarks(view, language)),
      });
    },
  };
}

/**
 * @param {any} view
 * @param {any} language
 * @returns {any} An extension of CodeMirror that marks the fields of prompts.
 */
function createFieldMarks({ Decoration, ViewPlugin }, { syntaxTree }) {
  const field = Decoration.mark({ class: "orchat-prompt-field" });
  const optionLine = Decoration.line({ class: "orchat-prompt-options" });

  /** @param {any} editor */
  function findMarks({ state, visibleRanges }) {
    if (!isPrompt(state.sliceDoc(0, MAGIC_END))) return Decoration.none;
    const tree = syntaxTree(state);
    const options = state.doc.lineAt(state.sliceDoc(0, MAGIC_END).search(/\S/));
    const marks = [optionLine.range(options.from)];
    for (const { from, to } of visibleRanges) {
      const start = Math.max(from, options.to);
      for (const { 0: found, index } of state.sliceDoc(start, Math.max(start, to)).matchAll(BRACES)) {
        const at = start + index;
        if (FIELD.test(found) && !isCode(tree.resolveInner(at, 1))) marks.push(field.range(at, at + found.length));
      }
    }
    return Decoration.set(marks);
  }

  /** @param {any} node A node of the syntax tree: code may have a language, and a tree, of its own. */
  function isCode(node) {
    for (let outer = node; outer; outer = outer.parent) if (CODE.test(outer.name)) return true;
    return false;
  }

  class FieldMarks {
    /** @param {any} editor */
    constructor(editor) {
      this.marks = findMarks(editor);
      this.tree = syntaxTree(editor.state);
    }

    /** @param {any} update */
    update(update) {
      const tree = syntaxTree(update.state);
      if (!update.docChanged && !update.viewportChanged && tree === this.tree) return;
      this.tree = tree;
      this.marks = findMarks(update.view);
    }
  }

  return ViewPlugin.fromClass(FieldMarks, { decorations: (/** @type {FieldMarks} */ plugin) => plugin.marks });
}
