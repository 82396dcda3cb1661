"""The package of this name, imported when the first IRI is checked: its import takes a second of the processor.

jsonschema imports it if it is there, and with jsonschema each process that reads a notebook; see
``findings/jupyter-events-import-cost.sh``.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType


def is_valid_syntax(term: str, value: str) -> bool:
    """Say whether a text is what a rule of RFC 3987 describes, as the package does."""
    return bool(_package().is_valid_syntax(term, value))


@cache
def _package() -> ModuleType:
    here = Path(__file__).parent
    spec = PathFinder.find_spec(__name__, [folder for folder in sys.path if Path(folder).resolve() != here])
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules[__name__] = module_from_spec(spec)
    spec.loader.exec_module(package)
    return package
