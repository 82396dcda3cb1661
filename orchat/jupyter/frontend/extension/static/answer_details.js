/**
 * The details of an answer, which its footer shows when it is opened: in a saved notebook and in a panel.
 */

/** The extras that are shown, in this order, with their labels. @type {[string, string][]} */
const DETAIL_ROWS = [
  ["requested", "model asked for"],
  ["model", "model that answered"],
  ["provider", "provider"],
  ["finish_reason", "finish reason"],
  ["ending", "ended"],
  ["usage", "tokens"],
  ["cost", "cost"],
  ["seconds", "seconds"],
  ["parameters", "parameters"],
  ["id", "id"],
  ["request", "request"],
  ["orchat", "orchat"],
];

/**
 * @param {unknown} value
 * @param {boolean} [withZeros] Whether a value of 0 tells something: a temperature does, a number of tokens does not.
 * @returns {string}
 */
function summarize(value, withZeros = false) {
  if (value === null || value === undefined || value === "") return "";
  if (typeof value !== "object") return String(value).slice(0, 500);
  const flat = Object.entries(value).filter(
    ([name, each]) => name !== "cost" && each !== null && typeof each !== "object" && (withZeros || Boolean(each)),
  );
  return flat
    .map(([name, each]) => `${name.replaceAll("_", " ")} ${each}`)
    .join(" · ")
    .slice(0, 500);
}

/**
 * @param {Record<string, unknown>} extras
 * @returns {string} What an answer has cost, in words where that is no amount; empty if nothing is known of its usage.
 */
function costText({ cost, usage }) {
  if (typeof cost !== "number") return usage ? "not reported" : "";
  return cost ? `$${cost.toLocaleString("en-US", { maximumSignificantDigits: 3 })}` : "free";
}

/**
 * @param {unknown} extras
 * @returns {HTMLElement | null}
 */
export function createDetails(extras) {
  if (extras === null || typeof extras !== "object") return null;
  const known = /** @type {Record<string, unknown>} */ ({ ...extras });
  const list = document.createElement("dl");
  for (const [name, label] of DETAIL_ROWS) {
    const text = name === "cost" ? costText(known) : summarize(known[name], name === "parameters");
    if (!text) continue;
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    term.textContent = label;
    value.textContent = text;
    list.append(term, value);
  }
  return list.children.length ? list : null;
}
