/** Read the number that a person typed as JSON text. Parsing would round large numbers, so they stay text. */

const TYPED = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const DIGITS_AND_MARKS = /^[+-]?[\d.,]+$/;

/**
 * @typedef {import("./form_fields.js").Strings} Strings
 * @param {string} typed
 * @param {Strings} strings
 * @returns {{text: string, problem: string}} The JSON text of the number, or of what was typed and why it is none.
 */
export function readNumber(typed, strings) {
  const given = typed.trim().replace("\u2212", "-"); // the minus sign of texts
  const [, sign, whole, decimals, exponent] = TYPED.exec(given) ?? [];
  if (!whole && !decimals) return { text: JSON.stringify(given), problem: explain(given, strings) };
  const fraction = decimals === undefined ? "" : `.${decimals || "0"}`;
  const power = exponent === undefined ? "" : `e${exponent}`;
  return { text: `${sign === "-" ? "-" : ""}${whole.replace(/^0+(?=\d)/, "") || "0"}${fraction}${power}`, problem: "" };
}

/** @param {string} given @param {Strings} strings */
function explain(given, strings) {
  if (!given) return strings.noNumber;
  const comma = given.lastIndexOf(",");
  if (comma < 0 || !DIGITS_AND_MARKS.test(given)) return strings.notNumber.replace("{typed}", () => given);
  const isDecimal = comma > given.lastIndexOf(".");
  const point = isDecimal ? `${given.slice(0, comma).replace(/[.,]/g, "")}.${given.slice(comma + 1)}`
    : given.replace(/,/g, "");
  return strings.comma.replace("{point}", () => point).replace("{digits}", () => given.replace(/[.,]/g, ""));
}
