"""Names of a server's tools as models are told them: with the server's prefix, in characters that providers take."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_REFUSED = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64


def model_names(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Return the name that a model is told for each of a server's own names.

    A name that begins with the prefix gets no second one. One that is too long, or the same as another after its
    characters were replaced, ends in a hash of the whole name, so that it stays the same from session to session.

    Examples
    --------
    >>> model_names(["get_time", "files/read", "files.read"], "nas")
    {'get_time': 'nas_get_time', 'files/read': 'nas_files_read', 'files.read': 'nas_files_read_601e4eb6'}
    >>> model_names(["git_status"], "git"), model_names(["get_time"], "")
    ({'git_status': 'git_status'}, {'get_time': 'get_time'})
    """
    start = f"{prefix}_" if prefix else ""
    told: dict[str, str] = {}
    for name in dict.fromkeys(names):
        plain = _REFUSED.sub("_", name) or "_"
        full = plain if plain.startswith(start) else start + plain
        if len(full) > _LONGEST or full in told.values():
            mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            full = f"{full[: _LONGEST - 9]}_{mark}"
        told[name] = full
    return told
