#!/usr/bin/env bash
# jupyter-ydoc 4.2.1 (pycrdt 0.14.13): a notebook that nobody touched comes out of a shared document changed.
#
# Whole floats become integers, in metadata and in JSON outputs, so that a cost of 0.0 or a temperature of 1.0 is another
# line in a diff; and a notebook without a kernel gets a `kernelspec` and a `language_info` of empty names. Integers
# beyond 2**53 and fractions stay what they are.
#
# Seen: cell {'temperature': 1, 'top_p': 0.5, 'big': 9007199254740993}
#       output {'cost': 0}
#       notebook {'kernelspec': {'display_name': '', 'name': ''}, 'language_info': {'name': ''}}
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q jupyter-ydoc==4.2.1 pycrdt==0.14.13 nbformat==5.10.4
cat > "$dir/show.py" <<'PYTHON'
import json

import nbformat
from jupyter_ydoc import YNotebook

KIND = "application/vnd.example+json"
settings = {"temperature": 1.0, "top_p": 0.5, "big": 2**53 + 1}
output = {"output_type": "display_data", "data": {KIND: {"cost": 0.0}}, "metadata": {}}
cell = {"cell_type": "code", "id": "a", "source": "1", "execution_count": 1, "outputs": [output]}
notebook = {"cells": [{**cell, "metadata": {"settings": settings}}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
nbformat.validate(nbformat.from_dict(notebook))

shared = YNotebook()
shared.set(notebook)
back = shared.get()
seen = {
    "cell": {name: back["cells"][0]["metadata"]["settings"][name] for name in settings},
    "output": back["cells"][0]["outputs"][0]["data"][KIND],
    "notebook": {name: dict(sorted(back["metadata"][name].items())) for name in sorted(back["metadata"])},
}
for name, value in seen.items():
    print(name, value)
expected = {
    "cell": {"temperature": 1, "top_p": 0.5, "big": 2**53 + 1},
    "output": {"cost": 0},
    "notebook": {"kernelspec": {"display_name": "", "name": ""}, "language_info": {"name": ""}},
}
assert json.dumps(seen) == json.dumps(expected), "the document changes something else now"
PYTHON
"$dir/venv/bin/python" "$dir/show.py"
