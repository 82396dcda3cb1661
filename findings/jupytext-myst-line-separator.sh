#!/usr/bin/env bash
# jupytext 1.19.6: U+2028 in a cell's metadata breaks the cells that follow, in MyST Markdown only.
#
# The line separator is valid in JSON and in a notebook; models write it now and then. jupytext writes it as it is into
# the YAML header of a `{code-cell}`, and reads the text back by another count of lines: the closing fence of that cell
# begins the next Markdown cell, a cell appears at the end, and the separator has become a space. The percent format,
# which escapes it, and jupytext's own Markdown keep cells and metadata.
#
# Seen: md:myst ['x = 1', '```\n\n# Title', 'y = 2', '```'] 'a b'
#       py:percent ['x = 1', '# Title', 'y = 2'] 'a\u2028b'
#       md ['x = 1', '# Title', 'y = 2'] 'a\u2028b'
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q jupytext==1.19.6 nbformat==5.10.4
cat > "$dir/show.py" <<'PYTHON'
import jupytext
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

notebook = new_notebook(
    cells=[
        new_code_cell("x = 1", metadata={"note": "a\u2028b"}),
        new_markdown_cell("# Title"),
        new_code_cell("y = 2"),
    ]
)
nbformat.validate(notebook)
KEPT = (["x = 1", "# Title", "y = 2"], "a\u2028b")
BROKEN = (["x = 1", "```\n\n# Title", "y = 2", "```"], "a b")
for name, expected in (("md:myst", BROKEN), ("py:percent", KEPT), ("md", KEPT)):
    back = jupytext.reads(jupytext.writes(notebook, name), name)
    seen = [cell.source for cell in back.cells], back.cells[0].metadata["note"]
    print(name, seen[0], ascii(seen[1]))
    assert seen == expected, f"{name} reads something else now"
PYTHON
"$dir/venv/bin/python" "$dir/show.py"
