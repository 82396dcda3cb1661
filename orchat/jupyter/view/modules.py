"""The JavaScript of a view: small ES modules, sent to a page once, when it asks for them.

Only the loader is part of a widget's state, for that is saved with each widget. It names the modules by a digest, so
that a page with kernels of two versions keeps both.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'^import [^;"]*?from "\./([\w.]+\.js)";$|await import\("\./([\w.]+\.js)"\)', re.MULTILINE)


@cache
def sources(module: str) -> tuple[tuple[str, str], ...]:
    """Return name and text of a module and all that it imports, each behind those that it needs.

    Examples
    --------
    >>> [name for name, _ in sources("view")][-1]
    'view.js'
    """
    found: dict[str, str] = {}

    def visit(name: str) -> None:
        if name not in found:
            text = _read(name)
            for needed, wanted in _IMPORT.findall(text):
                if needed or _is_there(wanted):
                    visit(needed or wanted)
            found[name] = text

    visit(f"{module}.js")
    return tuple(found.items())


@cache
def styles() -> str:
    """Return the rules for all views."""
    return "\n".join(_read(name) for name in ("view.css", "form.css", "panel.css") if _is_there(name))


@cache
def loader(module: str) -> str:
    """Return the module that is a widget's ``_esm``: it fetches the others from the kernel.

    Examples
    --------
    >>> len(loader("view")) < 1_500
    True
    """
    kept = (line.strip() for line in _read("loader.js").splitlines())
    text = "\n".join(line for line in kept if line and not line.startswith(("//", "/*", "*")))
    return text.replace("DIGEST", digest(module))


@cache
def digest(module: str) -> str:
    """Return what tells this version of a module and its styles from others."""
    whole = repr((sources(module), styles()))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _read(name: str) -> str:
    return files("orchat.jupyter").joinpath("static", name).read_text("utf-8")


def _is_there(name: str) -> bool:
    return files("orchat.jupyter").joinpath("static", name).is_file()
