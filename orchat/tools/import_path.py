"""Convert functions and classes to dotted import paths for dictionaries, and resolve such paths safely.

A path read from a dictionary is untrusted: it may come from another person's notebook. So only modules that the user
allowed are imported for it. Without that, only functions written in ``__main__`` (the notebook), a few harmless
builtins and orchat's own callbacks are found, and they must also have been *defined* there:
``__main__.os.system`` stays out of reach although the notebook may have imported ``os``.

This module must not know what a tool is, beyond its shape.
"""

from __future__ import annotations

import builtins
import fnmatch
import functools
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from orchat.errors import ConfigurationError, SerializationError

_ENV_VAR = "ORCHAT_ALLOWED_MODULES"
_OWN_PACKAGE = "orchat"
# orchat's own names are listed one by one: `allow_modules` itself must never come out of a dictionary.
_OWN_CALLABLES = frozenset({"orchat.streaming.print_streaming_chunk"})
_ALIASES = {
    "haystack.components.generators.utils.print_streaming_chunk": "orchat.streaming.print_streaming_chunk",
    "orchat.print_streaming_chunk": "orchat.streaming.print_streaming_chunk",
}
_HARMLESS_BUILTINS = frozenset(
    {"abs", "all", "any", "ascii", "bin", "bool", "chr", "dict", "float", "hex", "int", "len", "list", "max", "min"}
    | {"oct", "ord", "print", "repr", "round", "set", "sorted", "str", "sum", "tuple"}
)
_IN_CODE_HINT = "Pass the object in code instead."
_DEFINE_HINT = "Run the code that defines it first, or correct the path."
_allowed: list[str] = []


def allow_modules(*patterns: str) -> None:
    """Allow dictionaries to refer to functions and classes of these modules, for the rest of this process.

    Loading a dictionary imports the modules it names among these, so allow only code that you trust. The environment
    variable ``ORCHAT_ALLOWED_MODULES`` (patterns with commas between them) does the same from outside.

    Parameters
    ----------
    *patterns
        ``"mypkg"`` or ``"mypkg.*"`` for a module and all that is in it; ``*``, ``?`` and ``[...]`` elsewhere match as
        in file names.

    Raises
    ------
    ConfigurationError
        A pattern is empty or not a string.

    Examples
    --------
    >>> allow_modules("statistics")
    >>> resolve_import_path("statistics.mean")([1, 3])
    2
    """
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip():
            raise ConfigurationError(f"{pattern!r} is no module pattern.", hint='Write one like "mypkg" or "mypkg.*".')
    _allowed.extend(p.strip() for p in patterns if p.strip() not in _allowed)


def import_path_of(function: Callable[..., Any]) -> str:
    """Return a function's or class's import path, ``module.qualname``, for `resolve_import_path`.

    Raises
    ------
    SerializationError
        No path leads to it: a lambda, a nested function, a method of an instance, a callable object or a partial.

    Examples
    --------
    >>> import_path_of(print)
    'builtins.print'
    >>> import_path_of(lambda: None)
    Traceback (most recent call last):
    ...
    orchat.errors.SerializationError: A lambda cannot be saved by name. Define a function at the top level of a module.
    """
    return ".".join(_definition_of(function))


def resolve_import_path(path: str) -> Callable[..., Any]:
    """Return the function or class at an import path; of a tool, its function.

    Parameters
    ----------
    path
        A path of `import_path_of`, or of Haystack.

    Raises
    ------
    SerializationError
        Nothing is there, or it lies outside the modules that may be used.

    Examples
    --------
    >>> resolve_import_path("builtins.len")("four")
    4
    >>> resolve_import_path("os.system")
    Traceback (most recent call last):
    ...
    orchat.errors.SerializationError: `os.system` cannot be loaded: the module `os` is not allowed. If you trust it, \
call orchat.tools.allow_modules("os") first, or set ORCHAT_ALLOWED_MODULES.
    """
    if not isinstance(path, str):
        raise SerializationError(f"A callable must be given by its path, not as {type(path).__name__}.")
    path = _ALIASES.get(path, path)
    if path in _OWN_CALLABLES:
        own_module, _, own_name = path.rpartition(".")
        return getattr(importlib.import_module(own_module), own_name)  # type: ignore[no-any-return]
    parts = path.split(".")
    for part in parts[1:] if parts[0] == "__main__" else parts:
        if not part.isidentifier() or part.startswith("__"):
            raise _load_error(path, f"`{part}` is no public name")
    if parts[0] == _OWN_PACKAGE:
        raise _load_error(path, "of orchat itself only the callbacks it documents are")
    module, names = _import_module(path, parts)
    target: Any = module
    for name in names:
        if target is not module and not isinstance(target, type):
            raise _load_error(path, "it leads through something that is neither a module nor a class")
        if isinstance(target, type):  # an inherited method counts as its base's
            base = next((base for base in target.__mro__ if name in vars(base)), None)
            if base is None:
                raise _load_error(path, f"`{name}` is not there", _DEFINE_HINT)
            _check_definition(base.__module__, base.__qualname__, path)
        try:
            target = getattr(target, name)
        except AttributeError:
            raise _load_error(path, f"`{name}` is not there", _DEFINE_HINT) from None
        if isinstance(target, ModuleType):
            raise _load_error(path, f"`{name}` is a module that was imported there, not a part of it")
        if isinstance(target, type):
            _check_definition(target.__module__, target.__qualname__, path)
    target = _function_of_tool(target)
    try:
        _definition_of(target)
        definition = _definition_of(
            getattr(target, "__func__", target)
        )  # a class method may hold a function from anywhere
    except SerializationError as error:
        raise _load_error(path, error.message) from None
    _check_definition(*definition, path)
    return target  # type: ignore[no-any-return]


def _import_module(path: str, parts: Sequence[str]) -> tuple[ModuleType, Sequence[str]]:
    """Import the longest allowed module that the path starts with; return it and the remaining names."""
    if parts[0] == "__main__":
        return sys.modules["__main__"], parts[1:]
    if parts[0] == "builtins":
        return builtins, parts[1:]
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if not _is_allowed(name):
            continue
        try:
            return importlib.import_module(name), parts[end:]
        except ModuleNotFoundError as error:
            if error.name is None or not (name + ".").startswith(error.name + "."):
                raise _load_error(path, f"`{name}` needs the missing module `{error.name}`", "Install it.") from error
        except Exception as error:
            raise _load_error(path, f"importing `{name}` failed: {type(error).__name__}: {error}") from error
    name = ".".join(parts[:-1])
    if any(_is_allowed(".".join(parts[:end])) for end in range(1, len(parts))):
        raise _load_error(path, f"there is no module `{name}`", "Install it, or correct the path.")
    raise _not_allowed_error(path, name or path)


def _is_allowed(module: str) -> bool:
    patterns = [*_allowed, *(p.strip() for p in os.environ.get(_ENV_VAR, "").split(",") if p.strip())]
    return any(_matches(module, pattern) for pattern in patterns)


def _matches(module: str, pattern: str) -> bool:
    prefix = pattern.removesuffix(".*")
    if not any(wildcard in prefix for wildcard in "*?["):
        return module == prefix or module.startswith(prefix + ".")
    return fnmatch.fnmatchcase(module, pattern)


def _check_definition(module: str, qualname: str, path: str) -> None:
    """Refuse an object that is defined in a module that is not allowed, wherever it was found."""
    if module == "builtins":
        if qualname not in _HARMLESS_BUILTINS:
            raise _load_error(path, f"the builtin `{qualname}` is not among the harmless ones")
    elif module.partition(".")[0] == _OWN_PACKAGE:
        raise _load_error(path, "of orchat itself only the callbacks it documents are")
    elif module != "__main__" and not _is_allowed(module):
        raise _not_allowed_error(path, module)


def _definition_of(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the module and qualified name where a function or class was defined."""
    if isinstance(function, functools.partial):
        raise _no_path_error("A functools.partial")
    owner = getattr(function, "__self__", None)
    module: str | None
    qualname: str | None
    if isinstance(owner, type):  # a class method: the path goes through the class it is bound to, which may inherit it
        module, qualname = owner.__module__, f"{owner.__qualname__}.{function.__name__}"
    elif owner is not None and not inspect.ismodule(owner):
        raise _no_path_error("A method of an instance")
    else:
        module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not callable(function) or not isinstance(module, str) or not isinstance(qualname, str):
        raise _no_path_error(f"A {type(function).__name__} object")
    if "<lambda>" in qualname:
        raise _no_path_error("A lambda")
    if "<locals>" in qualname:
        raise _no_path_error(f"The nested function `{qualname}`")
    if "." in qualname and inspect.isfunction(function) and "self" in list(inspect.signature(function).parameters)[:1]:
        raise _no_path_error(f"The method `{qualname}`")
    return module, qualname


def _function_of_tool(target: Any) -> Any:
    """Return the function of a decorated tool, ours or Haystack's; other objects as they are."""
    if isinstance(target, type) or not hasattr(target, "tool_spec"):
        return target
    return getattr(target, "function", None) or getattr(target, "async_function", None)


def _no_path_error(what: str) -> SerializationError:
    return SerializationError(
        f"{what} cannot be saved by name.", hint="Define a function at the top level of a module."
    )


def _load_error(path: str, why: str, hint: str = _IN_CODE_HINT) -> SerializationError:
    return SerializationError(f"`{path}` cannot be loaded: {why.rstrip('.')}.", hint=hint)


def _not_allowed_error(path: str, module: str) -> SerializationError:
    hint = f'If you trust it, call orchat.tools.allow_modules("{module}") first, or set {_ENV_VAR}.'
    return _load_error(path, f"the module `{module}` is not allowed", hint)
