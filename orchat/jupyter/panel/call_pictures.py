"""The pictures that tools of panels displayed, by their content: a message names them, and each is held once.

No model is told of them, and no state of a chat holds them. A panel's data does, as far as there is room after all else
(`panel_serialization`), so that a call's box shows them after a restart of the kernel as well.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.messages import ImageContent

MAX_CALL_PICTURES = 4
MAX_PICTURE = 2_000_000  # characters of base64
_MAX_HELD = 64_000_000  # characters of base64 in this process; the oldest make room

_pictures: dict[str, dict[str, str]] = {}
_lock = threading.Lock()


def read_picture(encoded: str, kind: str) -> dict[str, str] | None:
    """Return a picture as a page shows it; None where it is none, too large, or of a type that is not shown.

    Examples
    --------
    >>> read_picture("R0lGODlhAQABAAAAACw=", "image/png")
    {'type': 'image/gif', 'data': 'R0lGODlhAQABAAAAACw='}
    """
    try:
        bundle = image_bundle(ImageContent(encoded, kind)) if len(encoded) <= MAX_PICTURE else None
    except ConfigurationError:  # no base64
        return None
    if bundle is None:
        return None
    actual_kind, data = next(iter(bundle.items()))
    return {"type": actual_kind, "data": data}


def hold_pictures(pictures: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Hold pictures, and return the names under which `find_pictures` finds them.

    Examples
    --------
    >>> picture = {"type": "image/gif", "data": "R0lGODlhAQABAAAAACw="}
    >>> find_pictures(hold_pictures([picture])) == [picture]
    True
    """
    names = []
    with _lock:
        for picture in pictures:
            name = hashlib.sha256(picture["data"].encode()).hexdigest()[:16]
            names.append(name)
            _pictures.pop(name, None)  # it is the youngest now
            _pictures[name] = dict(picture)
        held = sum(len(picture["data"]) for picture in _pictures.values())
        while held > _MAX_HELD:
            held -= len(_pictures.pop(next(iter(_pictures)))["data"])
    return tuple(names)


def find_pictures(names: object) -> list[dict[str, str]]:
    """Return the pictures of these names, without those that are not there any more."""
    listed = names if isinstance(names, list | tuple) else ()
    with _lock:
        found = [_pictures.get(name) for name in listed[:MAX_CALL_PICTURES] if isinstance(name, str)]
    return [picture for picture in found if picture is not None]


def pictures_within(names: Iterable[str], max_bytes: int) -> tuple[dict[str, dict[str, str]], int]:
    """Return the pictures that have room, by name, and the number of those that have none.

    Parameters
    ----------
    names
        The names, those that matter most first.
    max_bytes
        The room, about.
    """
    kept: dict[str, dict[str, str]] = {}
    omitted = 0
    for name in dict.fromkeys(names):
        for picture in find_pictures([name]):
            max_bytes -= len(picture["data"])
            if max_bytes < 0:
                omitted += 1
                max_bytes += len(picture["data"])
            else:
                kept[name] = picture
    return kept, omitted


def hold_saved_pictures(data: Any) -> None:
    """Hold the pictures of a panel's data, which is not trusted: each is known by its content alone."""
    if isinstance(data, Mapping):
        given = (each for each in data.values() if isinstance(each, Mapping))
        texts = ((each["data"], str(each.get("type"))) for each in given if isinstance(each.get("data"), str))
        hold_pictures(picture for each in texts if (picture := read_picture(*each)) is not None)
