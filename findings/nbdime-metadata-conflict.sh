#!/usr/bin/env bash
# nbdime 4.0.4: where both sides of a merge change one value in a cell's metadata, the merged notebook has neither.
#
# The cell keeps the value of the base; what both sides wrote stands as two diffs under a new key of the same metadata,
# `nbdime-conflicts`. The notebook stays valid, and opens with the old value. A conflict in an output, on the other hand,
# leaves both outputs in the cell, with markers between them.
#
# Seen: metadata {'turn': 'base'}
#       conflict ['local_diff', 'remote_diff']
#       outputs ['<<<<<<<', 'mine', '=======', 'theirs', '>>>>>>>']
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q nbdime==4.0.4 nbformat==5.10.4
cat > "$dir/show.py" <<'PYTHON'
import logging

import nbformat
from nbdime import merge_notebooks
from nbformat.v4 import new_code_cell, new_notebook, new_output

logging.disable()


def notebook(turn, text):
    output = new_output("display_data", {"text/plain": text}, metadata={})
    return new_notebook(cells=[new_code_cell("1", id="a", metadata={"tool": {"turn": turn}}, outputs=[output])])


merged, _ = merge_notebooks(notebook("base", "x"), notebook("mine", "x"), notebook("theirs", "x"))
nbformat.validate(merged)
[cell] = merged.cells
print("metadata", dict(cell.metadata["tool"]))
print("conflict", sorted(cell.metadata["nbdime-conflicts"]))
assert cell.metadata["tool"] == {"turn": "base"}, "one side's value is kept now"
assert sorted(cell.metadata["nbdime-conflicts"]) == ["local_diff", "remote_diff"], "the conflict is kept otherwise now"

merged, _ = merge_notebooks(notebook("base", "x"), notebook("base", "mine"), notebook("base", "theirs"))
outputs = [(each.get("text") or each["data"]["text/plain"]).split()[0] for each in merged.cells[0].outputs]
print("outputs", outputs)
assert outputs == ["<<<<<<<", "mine", "=======", "theirs", ">>>>>>>"], "outputs are merged otherwise now"
PYTHON
"$dir/venv/bin/python" "$dir/show.py"
