/**
 * Fails where the time of a regular expression in JavaScript may grow faster than its text:
 * `node .ci/regular_expressions.mjs FILE...`, with `typescript` and `redos-detector` where Node finds them.
 * Those in Python are checked by `tests/test_regex_time.py`.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";

const require = createRequire(join(process.env.TOOLS ?? process.cwd(), "package.json"));
const ts = require("typescript");
const { isSafe } = require("redos-detector");

let found = 0;
let bad = 0;

function check(node, file, source) {
  const { line } = source.getLineAndCharacterOfPosition(node.getStart());
  const place = `${file}:${line + 1}: ${node.getText()}`;
  if (ts.isRegularExpressionLiteral(node)) {
    found += 1;
    const end = node.text.lastIndexOf("/");
    const result = isSafe(new RegExp(node.text.slice(1, end), node.text.slice(end + 1)));
    if (!result.safe) {
      bad += 1;
      console.error(`${place}: its time may grow faster than its text`);
    }
  } else if (ts.isIdentifier(node) && node.text === "RegExp") {
    bad += 1;
    console.error(`${place}: write it as a literal, so that it can be checked`);
  }
  ts.forEachChild(node, (child) => check(child, file, source));
}

for (const file of process.argv.slice(2)) {
  const source = ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.Latest, true);
  check(source, file, source);
}
console.log(`${found} regular expressions in JavaScript, ${bad} of them slow or hidden`);
process.exit(bad || !found ? 1 : 0);
