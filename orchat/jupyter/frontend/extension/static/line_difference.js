/**
 * The difference between two texts, line by line.
 *
 * @typedef {{sign: "-" | "+", line: string}} Row
 */

const MAX_PAIRS = 250_000; // pairs of lines that are compared; beyond it, all lines between are shown

/**
 * @param {string[]} old
 * @param {string[]} now
 * @returns {Row[]} The lines that differ, in order.
 */
export function diffLines(old, now) {
  let top = 0;
  while (top < old.length && top < now.length && old[top] === now[top]) top += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - top && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const [a, b] = [old.slice(top, old.length - end), now.slice(top, now.length - end)];
  /** @type {(sign: "-" | "+") => (line: string) => Row} */
  const row = (sign) => (line) => ({ sign, line });
  if (a.length * b.length > MAX_PAIRS) return [...a.map(row("-")), ...b.map(row("+"))];
  const width = b.length + 1;
  const commonCounts = new Uint32Array((a.length + 1) * width); // how many lines the rests of both have in common
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      commonCounts[i * width + j] = a[i] === b[j] ? commonCounts[(i + 1) * width + j + 1] + 1
        : Math.max(commonCounts[(i + 1) * width + j], commonCounts[i * width + j + 1]);
    }
  }
  const rows = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) [i, j] = [i + 1, j + 1];
    else if (i < a.length && (j === b.length || commonCounts[(i + 1) * width + j] >= commonCounts[i * width + j + 1])) {
      rows.push(row("-")(a[i++]));
    } else rows.push(row("+")(b[j++]));
  }
  return rows;
}
