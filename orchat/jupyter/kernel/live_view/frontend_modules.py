"""Serve the page's JavaScript and CSS: the ES modules of ``jupyter/frontend/``, sent to a page once, on request.

Only the loader is part of a widget's state, which is saved with each widget. It names the modules by a digest, so that
a page with kernels of two versions holds both.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from functools import cache
from importlib.resources import files

_IMPORT = re.compile(r'(?<=from ")\.{1,2}/[\w./]+\.js(?=";)|(?<=await import\(")\.{1,2}/[\w./]+\.js(?="\))')
_STYLESHEETS = ("extension/static/answer.css", "view/view.css", "form/form.css", "panel/panel.css")


@cache
def module_sources(module: str) -> tuple[tuple[str, str], ...]:
    """Return path and text of a module and all its imports, each after its dependencies.

    Parameters
    ----------
    module
        A path below ``jupyter/frontend/``, without ``.js``. Imports in the texts use such paths too.

    Examples
    --------
    >>> [name for name, _ in module_sources("view/view")][-1]
    'view/view.js'
    """
    modules: dict[str, str] = {}

    def visit(name: str) -> None:
        if name in modules:
            return

        def visit_import(specifier: re.Match[str]) -> str:
            needed = posixpath.normpath(posixpath.join(posixpath.dirname(name), specifier[0]))
            visit(needed)
            return f"./{needed}"

        modules[name] = _IMPORT.sub(visit_import, _read(name))

    visit(f"{module}.js")
    return tuple(modules.items())


@cache
def stylesheet() -> str:
    """Return the CSS rules of all views."""
    return "\n".join(map(_read, _STYLESHEETS))


@cache
def loader_source(module: str) -> str:
    """Return the module for a widget's ``_esm``: it requests the others from the kernel.

    Examples
    --------
    >>> len(loader_source("view/view")) < 2_800
    True
    """
    lines = (line.strip() for line in _read("shared/loader.js").splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith(("//", "/*", "*")))
    return text.replace("DIGEST", module_digest(module))


@cache
def module_digest(module: str) -> str:
    """Return a digest of a module, its imports and the stylesheet."""
    whole = repr((module_sources(module), stylesheet()))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _read(name: str) -> str:
    return files("orchat.jupyter").joinpath("frontend", name).read_text("utf-8")
