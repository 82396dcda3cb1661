"""Paths that lead to no file that can be read, and what an error says of each."""

from __future__ import annotations

import os
from pathlib import Path

ODD = {
    "missing": "No such file",
    "folder": "it is a folder",
    "pipe": "it is a pipe, not a file",
    "endless device": "it is a device, not a file",
    "terminal": "it is a device, not a file",
    "link to a device": "it is a device, not a file",
    "dangling link": "it is a link to gone.txt, which does not exist",
    "circular link": "Too many levels of symbolic links",
    "long name": "File name too long",
    "long path": "File name too long",
    "name with a zero": "no file can have that name",
    "name with half a character": "no file can have that name",
    "file as a folder": "Not a directory",
    "memory of this process": "Input/output error",
    "pages of this process": "it has more than 1",
    "large": "it has more than ",
}


def make_odd(kind: str, folder: Path) -> str:
    """Make the path of a kind in a folder, and return it."""
    path = folder / "odd.txt"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "endless device":
            return "/dev/zero"
        case "terminal":
            return "/dev/tty"
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "dangling link":
            path.symlink_to("gone.txt")
        case "circular link":
            path.symlink_to("odd.txt")
        case "long name":
            return str(folder / ("x" * 5000))
        case "long path":
            return str(folder) + "/x" * 5000
        case "name with a zero":
            return str(folder / "a\0b")
        case "name with half a character":
            return str(folder / "a\ud800b")
        case "file as a folder":
            path.touch()
            return str(path / "tides.csv")
        case "memory of this process":
            return "/proc/self/mem"
        case "pages of this process":
            return "/proc/self/pagemap"
        case "large":
            with path.open("wb") as file:
                file.truncate(30_000_000)
    return str(path)
