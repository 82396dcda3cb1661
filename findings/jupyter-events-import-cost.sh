#!/usr/bin/env bash
# jupyter-events 0.12.1 makes each process that reads a notebook file build 39 parsers: nbformat's import takes eight
# times as long in an environment with a Jupyter server as in one without.
#
# jupyter-events asks for `jsonschema[format-nongpl]`, which brings rfc3987-syntax 1.1.0. jsonschema 4.26.0 imports that,
# if it is there, when it is imported itself, and rfc3987-syntax builds one parser of lark 1.3.1 for each rule of
# RFC 3987 at its import, cached nowhere. nbformat 5.10.4 imports jsonschema. So every server, nbclient, papermill,
# nbconvert or pytest with nbmake pays more than a second of a processor, although no notebook has an IRI to check.
#
# Seen (seconds of one core of a small machine):
#   with jupyter-events:    nbformat 1.34, 39 parsers
#   without rfc3987-syntax: nbformat 0.17, 0 parsers
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q jupyter-events==0.12.1 jsonschema==4.26.0 rfc3987-syntax==1.1.0 \
  lark==1.3.1 nbformat==5.10.4
cat > "$dir/measure.py" <<'PYTHON'
import sys
import time

started = time.process_time()
import nbformat  # noqa: F401

seconds = time.process_time() - started
helpers = sys.modules.get("rfc3987_syntax.syntax_helpers")
lark = sys.modules.get("lark.lark")
parsers = 0
if helpers is not None:
    import gc

    parsers = sum(isinstance(each, lark.Lark) for each in gc.get_objects())
print(f"{seconds:.2f} {parsers}")
PYTHON
measure() { "$dir/venv/bin/python" "$dir/measure.py" >/dev/null; "$dir/venv/bin/python" "$dir/measure.py"; }
read -r with with_parsers <<< "$(measure)"
"$dir/venv/bin/pip" uninstall -q -y rfc3987-syntax
read -r without without_parsers <<< "$(measure)"
echo "with jupyter-events:    nbformat $with, $with_parsers parsers"
echo "without rfc3987-syntax: nbformat $without, $without_parsers parsers"
"$dir/venv/bin/python" - "$with" "$without" "$with_parsers" "$without_parsers" <<'PYTHON'
import sys

with_, without = map(float, sys.argv[1:3])
assert sys.argv[3:] == ["39", "0"], "another number of parsers is built now"
assert with_ > 4 * without, "the import is cheap now"
PYTHON
