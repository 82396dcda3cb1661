/**
 * The difference between two texts, line by line.
 *
 * @typedef {{sign: "-" | "+" | " " | "…", line: string}} Row ``…`` stands for unchanged lines that are left out.
 */

const MAX_PAIRS = 250_000; // pairs of lines that are compared; beyond it, all lines between are shown
const CONTEXT = 3; // unchanged lines that are shown around changed ones

/**
 * @param {string[]} old
 * @param {string[]} now
 * @returns {Row[]} All lines, in order.
 */
export function diffLines(old, now) {
  let top = 0;
  while (top < old.length && top < now.length && old[top] === now[top]) top += 1;
  let end = 0;
  while (end < Math.min(old.length, now.length) - top && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const [a, b] = [old.slice(top, old.length - end), now.slice(top, now.length - end)];
  /** @type {(sign: "-" | "+" | " ") => (line: string) => Row} */
  const row = (sign) => (line) => ({ sign, line });
  /** @param {Row[]} between @returns {Row[]} */
  const within = (between) => [
    ...old.slice(0, top).map(row(" ")), ...between, ...old.slice(old.length - end).map(row(" ")),
  ];
  if (a.length * b.length > MAX_PAIRS) return within([...a.map(row("-")), ...b.map(row("+"))]);
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
    if (i < a.length && j < b.length && a[i] === b[j]) {
      rows.push(row(" ")(a[i]));
      [i, j] = [i + 1, j + 1];
    } else if (i < a.length
      && (j === b.length || commonCounts[(i + 1) * width + j] >= commonCounts[i * width + j + 1])) {
      rows.push(row("-")(a[i++]));
    } else rows.push(row("+")(b[j++]));
  }
  return within(rows);
}

/** @param {Row} row */
export const isChanged = ({ sign }) => sign !== " ";

/**
 * Leave out the unchanged lines that are far from changed ones.
 *
 * @param {Row[]} rows
 * @returns {Row[]}
 */
export function nearChanges(rows) {
  const near = new Set(rows.flatMap((row, at) => {
    return isChanged(row) ? Array.from({ length: 2 * CONTEXT + 1 }, (_, i) => at + i - CONTEXT) : [];
  }));
  const last = rows.findLastIndex(isChanged);
  return rows.flatMap((row, at) => {
    if (near.has(at)) return [row];
    return near.has(at - 1) && at < last ? [{ sign: "…", line: "" }] : [];
  });
}
