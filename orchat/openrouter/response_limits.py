"""`ResponseLimits`: how much of a response is read and kept. Endpoints are not trusted, and memory is finite. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from orchat.errors import ConfigurationError, ResponseLimitError

_MIB = 1024 * 1024
_UNITS = {
    "error_bytes": "bytes of an error's body",
    "event_bytes": "bytes in one event",
    "answer_bytes": "bytes in one answer",
    "stream_bytes": "bytes in one stream",
    "list_bytes": "bytes in one list",
    "json_values": "JSON values in one piece",
    "compression_ratio": "times the size after decompression",
    "tool_calls": "tool calls in one answer",
    "images": "images in one answer",
    "header_characters": "characters of a header in an error",
}


@dataclass(frozen=True)
class ResponseLimits:
    """The limits of a response; beyond one a `ResponseLimitError` names it, and what had arrived is its ``partial``.

    A text that is not pure ASCII counts as four bytes a character, as it may take in memory. Within the defaults no
    response makes a process grow by more than 64 MB (`tests/benchmarks/ceilings.py`).

    Parameters
    ----------
    error_bytes
        What is read of an error's body; the rest is left out.
    event_bytes
        The largest event of a stream: an image is one. Those that arrive whole in one block, which is of 64 kB at most,
        are not measured.
    answer_bytes
        The largest whole answer, and the most that a stream may add up to.
    stream_bytes
        The most that is received of a stream, the JSON around its texts included.
    list_bytes
        The largest reply to a query, such as the list of models.
    json_values
        The most values (numbers, texts, lists, objects) in one event, answer or list.
    compression_ratio
        How many times larger than its compressed form a response of more than 1 MB may be.
    tool_calls, images
        The most of an answer. `orchat.Chat` limits the tool runs of a turn (``max_tool_runs``).
    header_characters
        How much of a response's header an error shows.

    Raises
    ------
    ConfigurationError
        A limit is not a whole number above 0 (a ValueError).

    Examples
    --------
    >>> ResponseLimits(event_bytes=32_000_000).images
    64
    """

    error_bytes: int = 64 * 1024
    event_bytes: int = 12 * _MIB
    answer_bytes: int = 12 * _MIB
    stream_bytes: int = 256 * _MIB
    list_bytes: int = 8 * _MIB
    json_values: int = 200_000
    compression_ratio: int = 200
    tool_calls: int = 128
    images: int = 64
    header_characters: int = 200

    def __post_init__(self) -> None:
        for name, value in self.changed(all_values=True).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigurationError(f"{name}={value!r} is no limit.", hint="It is a whole number above 0.")

    @classmethod
    def of(cls, given: ResponseLimits | Mapping[str, int] | None) -> ResponseLimits:
        """Return the limits that are given as such, or by name; None for the defaults.

        Raises
        ------
        TypeError
            It is something else.
        ConfigurationError
            There is no such limit, or a value is none (a ValueError).

        Examples
        --------
        >>> ResponseLimits.of({"images": 3}).images, ResponseLimits.of(None) == ResponseLimits()
        (3, True)
        """
        if given is None or isinstance(given, ResponseLimits):
            return given or DEFAULT_LIMITS
        if not isinstance(given, Mapping):
            raise TypeError(f"limits must be a dict or ResponseLimits, not {type(given).__name__}.")
        if unknown := [name for name in given if name not in _UNITS]:
            raise ConfigurationError(f"There is no limit {unknown[0]!r}.", hint=f"There are {', '.join(_UNITS)}.")
        return cls(**given) if given else DEFAULT_LIMITS

    def changed(self, *, all_values: bool = False) -> dict[str, Any]:
        """Return the limits that are not the defaults, by name."""
        return {
            each.name: value
            for each in fields(self)
            if (value := getattr(self, each.name)) != each.default or all_values
        }

    def exceeded(self, name: str) -> ResponseLimitError:
        """Make the error of a response that is over a limit, given by its name.

        Examples
        --------
        >>> print(ResponseLimits().exceeded("tool_calls"))
        The response is over a limit: more than 128 tool calls in one answer. If you trust the endpoint, give its \
generator limits={"tool_calls": 256}; in a notebook: %config OpenRouterMagics.limits = {"tool_calls": 256}.
        """
        limit = getattr(self, name)
        higher = f'{{"{name}": {2 * limit}}}'
        return ResponseLimitError(
            f"The response is over a limit: more than {limit:,} {_UNITS[name]}.",
            hint=f"If you trust the endpoint, give its generator limits={higher}; "
            f"in a notebook: %config OpenRouterMagics.limits = {higher}.",
        )


DEFAULT_LIMITS = ResponseLimits()
"""The limits where none are given."""
