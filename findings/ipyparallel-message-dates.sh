#!/usr/bin/env bash
# Once ipyparallel 9.2.0 is imported, jupyter_client 8.10.0 leaves the dates of all messages as texts, in every
# client of the process, not in ipyparallel's alone.
#
# jupyter_client makes a `datetime` of `header["date"]` when it reads a message. `ipyparallel.client.client`, which
# `import ipyparallel` brings in, replaces jupyter_client's own `session.extract_dates` by a function that does nothing.
# A test runner, a grader or a server that computes with the dates of a kernel's messages fails from then on with
# "'str' object has no attribute ...", and only where something else in the process has imported ipyparallel.
#
# Seen:
#   before: datetime
#   after:  str
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q ipyparallel==9.2.0 jupyter_client==8.10.0
cat > "$dir/dates.py" <<'PYTHON'
from jupyter_client.session import Session

session = Session(key=b"key")


def kind_of_date():
    sent = session.serialize(session.msg("status", {"execution_state": "idle"}))
    _, parts = session.feed_identities(sent)
    return type(session.deserialize(parts)["header"]["date"]).__name__


before = kind_of_date()
import ipyparallel  # noqa: E402, F401

after = kind_of_date()
print(f"before: {before}\nafter:  {after}")
assert (before, after) == ("datetime", "str"), "dates are read in the same way now"
PYTHON
"$dir/venv/bin/python" "$dir/dates.py"
