#!/usr/bin/env bash
# Each JupyterLab page costs its server some thirty reads of the entry points of all installed packages: for the list of
# export formats of a menu (jupyter_server 2.21.1, nbconvert 7.17.2).
#
# The page asks `GET /api/nbconvert` when it loads. The handler asks nbconvert for the names of the exporters, then for each
# exporter by its name; nbconvert reads the entry points anew for each of these questions, and for the names it makes each
# exporter once to see whether it is enabled. Python's `importlib.metadata.entry_points` keeps nothing either: it reads a
# file of every installed distribution. In an environment of 300 packages the menu's list is a quarter of a second of the
# server's processor time for every page and every reload.
#
# Counted are the calls of `entry_points` while the handler, without its web application, makes the list.
#
# Seen:
#   14 exporters: 29 reads of all entry points
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q jupyter_server==2.21.1 nbconvert==7.17.2
cat > "$dir/count.py" <<'PYTHON'
import asyncio
import json

from jupyter_server.services.nbconvert.handlers import NbconvertRootHandler
from nbconvert.exporters import base

reads = 0
real = base.entry_points


def counted(**conditions):
    global reads
    reads += 1
    return real(**conditions)


base.entry_points = counted


class Asked(NbconvertRootHandler):
    """The handler without its web application."""

    def __init__(self):
        self._exporter_lock = asyncio.Lock()

    def finish(self, body):
        self.body = body


handler = Asked()
asyncio.run(NbconvertRootHandler.get.__wrapped__.__wrapped__(handler))
exporters = json.loads(handler.body)
print(f"{len(exporters)} exporters: {reads} reads of all entry points")
assert len(exporters) > 5 and reads > 2 * len(exporters), "the entry points are read less often now"
PYTHON
"$dir/venv/bin/python" "$dir/count.py"
