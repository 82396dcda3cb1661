#!/usr/bin/env bash
# pandoc 3.9 (pypandoc_binary 1.17) shows the data of a vendor's "+json" type in a notebook's output instead of the
# Markdown beside it; a vendor's type without "+json" is passed over, and the Markdown is shown.
#
# nbformat lets an output hold a bundle of types, of which a reader takes the best that it knows. A tool that adds a type
# of its own with data for its front end hides its readable form from whoever converts the notebook with pandoc or
# Quarto, if the type's name ends as nbformat's documentation says that JSON types end.
#
# Seen:
#   application/vnd.tide.v1+json: 1 {"high":"14:10"}
#   application/vnd.tide.v1: 1 High tide is at 14:10.
# (the 1 is the cell's source)
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q pypandoc_binary==1.17
cat > "$dir/convert.py" <<'PYTHON'
import json

import pypandoc

print("pandoc", pypandoc.get_pandoc_version())


def shown(mime_type, data):
    bundle = {mime_type: data, "text/markdown": ["High tide is at *14:10*."], "text/plain": ["High tide is at 14:10."]}
    output = {"output_type": "display_data", "data": bundle, "metadata": {}}
    cell = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}, "outputs": [output], "source": ["1"]}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    text = pypandoc.convert_text(json.dumps(notebook), "plain", format="ipynb")
    print(f"{mime_type}:", " ".join(text.split()))
    return text


assert "High tide" not in shown("application/vnd.tide.v1+json", {"high": "14:10"}), "pandoc shows the Markdown now"
assert "High tide" in shown("application/vnd.tide.v1", '{"high": "14:10"}')
PYTHON
"$dir/venv/bin/python" "$dir/convert.py"
