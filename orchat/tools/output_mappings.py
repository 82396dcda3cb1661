"""Validate and convert a tool's mappings of outputs to text and state, and of state to inputs.

``outputs_to_string`` is one output (``source``, ``handler``, ``raw_result``) or several under names of their own,
``outputs_to_state`` maps state keys to ``source`` and ``handler``, ``inputs_from_state`` maps state keys to parameters.
This module knows their shape only; `orchat.chat.tool_execution` applies ``outputs_to_string``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from orchat.errors import ConfigurationError

_SINGLE_OUTPUT_KEYS = frozenset({"source", "handler", "raw_result"})


def check_outputs_to_string(config: Mapping[str, Any]) -> None:
    """Validate ``outputs_to_string``; raise ConfigurationError, or TypeError for an output that is not a dictionary.

    Examples
    --------
    >>> check_outputs_to_string({"source": "docs", "handler": str})
    >>> check_outputs_to_string({"docs": {"handler": str}})
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: outputs_to_string['docs'] needs a `source`.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"outputs_to_string must be a dictionary, not {type(config).__name__}.")
    if _is_single(config):
        _check_entry("outputs_to_string", config)
        if extra := sorted(set(map(str, config)) - _SINGLE_OUTPUT_KEYS):
            raise ConfigurationError(
                f"outputs_to_string has {', '.join(extra)} beside source, handler or raw_result.",
                hint="Give one output, or several under names of their own.",
            )
        return
    for key, entry in config.items():
        where = f"outputs_to_string[{key!r}]"
        _check_entry(where, entry)
        if "raw_result" in entry:
            raise ConfigurationError(f"{where} has `raw_result`, which only a single output may have.")
        if "source" not in entry:
            raise ConfigurationError(f"{where} needs a `source`.")


def check_outputs_to_state(config: Mapping[str, Any]) -> None:
    """Validate ``outputs_to_state``, with the same errors."""
    if not isinstance(config, Mapping):
        raise TypeError(f"outputs_to_state must be a dictionary, not {type(config).__name__}.")
    for key, entry in config.items():
        _check_entry(f"outputs_to_state[{key!r}]", entry)


def check_inputs_from_state(config: Mapping[str, Any], parameters: Collection[str] | None) -> None:
    """Validate ``inputs_from_state``; ``parameters`` are the existing names, None to accept any."""
    if not isinstance(config, Mapping):
        raise TypeError(f"inputs_from_state must be a dictionary, not {type(config).__name__}.")
    for key, parameter in config.items():
        if not isinstance(parameter, str):
            raise TypeError(f"inputs_from_state[{key!r}] must name a parameter, not be a {type(parameter).__name__}.")
        if parameters is not None and parameter not in parameters:
            raise ConfigurationError(
                f"inputs_from_state[{key!r}] names an unknown parameter `{parameter}`.",
                hint=f"Parameters are: {', '.join(sorted(parameters))}.",
            )


def convert_handlers(config: Mapping[str, Any], convert: Callable[[Any], Any], *, several: bool) -> dict[str, Any]:
    """Copy a configuration with every ``handler`` converted, function to import path or back.

    Parameters
    ----------
    config
        ``outputs_to_string`` or ``outputs_to_state``.
    convert
        `import_path_of` or `resolve_import_path`.
    several
        Whether the keys are always names, as in ``outputs_to_state``, where "source" may be one.
    """
    if not several and _is_single(config):
        return _convert_entry(config, convert)
    return {
        key: _convert_entry(entry, convert) if isinstance(entry, Mapping) else entry for key, entry in config.items()
    }


def _convert_entry(entry: Mapping[str, Any], convert: Callable[[Any], Any]) -> dict[str, Any]:
    return {key: convert(value) if key == "handler" else value for key, value in entry.items()}


def _is_single(config: Mapping[str, Any]) -> bool:
    return not _SINGLE_OUTPUT_KEYS.isdisjoint(config)


def _check_entry(where: str, entry: Any) -> None:
    if not isinstance(entry, Mapping):
        raise TypeError(f"{where} must be a dictionary, not {type(entry).__name__}.")
    if "source" in entry and not isinstance(entry["source"], str):
        raise ConfigurationError(f"{where}: `source` must be a text.")
    if "handler" in entry and not callable(entry["handler"]):
        raise ConfigurationError(f"{where}: `handler` must be callable.")
    if "raw_result" in entry and not isinstance(entry["raw_result"], bool):
        raise ConfigurationError(f"{where}: `raw_result` must be true or false.")
