/**
 * The difference between a call's original and edited arguments, as the lines that differ. Texts are JSON and stay
 * text: parsing would round large numbers.
 */

import { diffLines, isChanged } from "../extension/static/line_difference.js";
import { element } from "../shared/elements.js";

const TOKENS = /"[^"\\]*(?:\\[^][^"\\]*)*"?|[{}[\],:]|[^\s"{}[\],:]+/g;
const MAX_ONE_LINE = 60; // characters
const CONTEXT = 40; // characters shown before a difference in a long line
const MAX_LINE_LENGTH = 160;
const MAX_ROWS = 40;

/**
 * @param {string} text
 * @returns {string} JSON with a line for each member, as the kernel writes it; invalid JSON unchanged.
 */
export function indentJson(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = text.match(TOKENS) ?? [];
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  tokens.forEach((token, i) => {
    const empty = "}]".includes(tokens[i + 1] ?? " ");
    if ("{[".includes(token)) {
      depth += 1;
      out += token + (empty ? "" : line());
    } else if ("}]".includes(token)) {
      depth -= 1;
      out += ("{[".includes(tokens[i - 1]) ? "" : line()) + token;
    } else if (token === ",") out += token + line();
    else out += token === ":" ? ": " : token;
  });
  return out;
}

/**
 * @param {string | null} before JSON texts; null where there is no value.
 * @param {string | null} after
 * @param {string} more The words after the number of omitted lines.
 * @returns {HTMLElement} ``before → after``, or the lines that differ.
 */
export function difference(before, after, more) {
  const [old, now] = [splitLines(before), splitLines(after)];
  if (old.length === 1 && now.length === 1) {
    const from = commonPrefixLength(old[0], now[0]);
    const [removed, added] = [excerpt(old[0], from), excerpt(now[0], from)];
    return element("span", "", element("del", "", removed), " → ", element("ins", "", added));
  }
  const rows = diffLines(old, now).filter(isChanged);
  const shown = rows.slice(0, MAX_ROWS).map(({ sign, line }) =>
    element(sign === "-" ? "del" : "ins", "orchat-diff-line", `${sign} ${excerpt(line, 0)}`));
  const rest = rows.length - shown.length;
  return element("div", "orchat-diff-lines", ...shown, rest > 0 ? `… ${rest} ${more}` : "");
}

/** @param {string | null} text */
function splitLines(text) {
  if (text === null) return ["–"];
  try {
    const value = text.startsWith('"') ? JSON.parse(text) : null;
    if (typeof value === "string") return value.includes("\n") ? value.split("\n") : [text];
  } catch {
    return text.split("\n"); // no JSON yet: somebody types
  }
  return text.length <= MAX_ONE_LINE ? [text] : indentJson(text).split("\n");
}

/** @param {string} one @param {string} other */
function commonPrefixLength(one, other) {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  return at;
}

/** @param {string} line @param {number} from Where it begins to differ. */
function excerpt(line, from) {
  const begin = line.length > MAX_LINE_LENGTH && from > CONTEXT ? from - CONTEXT : 0;
  const end = begin + MAX_LINE_LENGTH;
  return (begin ? "…" : "") + line.slice(begin, end) + (end < line.length ? "…" : "");
}
