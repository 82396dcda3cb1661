"""Content parts without media: text, reasoning, tool calls and their results."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchat.errors import ConfigurationError
from orchat.messages.data_copy import QuicklyCopied
from orchat.messages.lenient_json import BLANKS
from orchat.messages.media import AudioContent, FileContent, ImageContent, VideoContent

# Gemini's field of a tool call, kept in `extra` under its own name.
CALL_EXTRA = "extra_content"
# Where `extra` keeps, in dictionaries that others read as well, what is no part of their form.
_AS_WRITTEN, _CAME_AS = "arguments_text", "came_as"
_encode = json.JSONEncoder(ensure_ascii=False).encode


@dataclass
class TextContent(QuicklyCopied):
    """Text.

    Parameters
    ----------
    text
        The text.
    cache_control
        A prompt-caching breakpoint after this part, ``{"type": "ephemeral"}`` (API section 2.3).

    Examples
    --------
    >>> TextContent("Tide at Hull?").to_dict()
    {'text': 'Tide at Hull?'}
    """

    text: str
    cache_control: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        extra = {} if self.cache_control is None else {"cache_control": self.cache_control}
        return {"text": self.text, **extra}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TextContent:
        """Read `to_dict`'s form."""
        return cls(**data)


def is_blank(part: object) -> bool:
    """Whether a part is a text of blanks only, which several providers refuse."""
    return isinstance(part, TextContent) and not part.text.strip(BLANKS)


@dataclass
class ToolCall(QuicklyCopied):
    """A model's request to call a tool.

    Parameters
    ----------
    tool_name
        Which tool.
    arguments
        Its arguments; empty when what the model wrote is no JSON object (see `malformed_arguments`).
    id
        The call's id, which its result must repeat.
    extra
        Anything a provider adds.
    arguments_text
        The arguments as the model wrote them, to be sent back byte for byte: prompt caches hit only what is the same.
        It counts as long as it says what ``arguments`` says, and is no part of the call's identity.

    Examples
    --------
    >>> ToolCall("tide", {"port": "Hull"}, id="call_1").to_dict()
    {'tool_name': 'tide', 'arguments': {'port': 'Hull'}, 'id': 'call_1', 'extra': None}
    """

    tool_name: str
    arguments: dict[str, Any]
    id: str | None = None
    extra: dict[str, Any] | None = None
    arguments_text: str | None = field(default=None, compare=False, repr=False, kw_only=True)

    @property
    def malformed_arguments(self) -> str | None:
        """The text that the model wrote where a JSON object was due; None when all is well."""
        text = (self.extra or {}).get("malformed_arguments")
        return text if isinstance(text, str) else None

    @property
    def mended_arguments(self) -> str | None:
        """The model's text where that was no JSON object, or not of the tool's types, but had one possible meaning."""
        text = (self.extra or {}).get("mended_arguments")
        return text if isinstance(text, str) else None

    @property
    def json_arguments(self) -> str:
        """The arguments as JSON text: as the model wrote them where nothing has changed them.

        Examples
        --------
        >>> call = ToolCall("tide", {"port": "Hull"}, arguments_text='{"port":"Hull"}')
        >>> call.json_arguments
        '{"port":"Hull"}'
        >>> call.arguments["port"] = "Goole"
        >>> call.json_arguments
        '{"port": "Goole"}'
        """
        own = _encode(self.arguments)
        return self._written_otherwise(own) or own

    def _written_otherwise(self, own: str) -> str | None:
        """Return what the model wrote where it says the same as this JSON text, in other characters."""
        if (text := self.arguments_text) is not None and text != own:
            with contextlib.suppress(ValueError, RecursionError):
                if _encode(json.loads(text)) == own:
                    return text
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; how the arguments were written is in ``extra``, where it matters."""
        extra = self.extra
        if self.arguments_text is not None and (text := self._written_otherwise(_encode(self.arguments))) is not None:
            extra = {**(extra or {}), _AS_WRITTEN: text}
        return {"tool_name": self.tool_name, "arguments": self.arguments, "id": self.id, "extra": extra}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCall:
        """Read `to_dict`'s form, with or without ``extra``."""
        extra = data.get("extra")
        if not isinstance(extra, Mapping) or not isinstance(text := extra.get(_AS_WRITTEN), str):
            return cls(**data)
        rest = {key: value for key, value in extra.items() if key != _AS_WRITTEN} or None
        return cls(**{**data, "extra": rest}, arguments_text=text)


def extra_of_call(call: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what an endpoint adds to a tool call and wants back unchanged, Gemini its signature of the thought.

    Examples
    --------
    >>> extra_of_call({"id": "call_1", "extra_content": {"google": {"thought_signature": "Eg=="}}})
    {'extra_content': {'google': {'thought_signature': 'Eg=='}}}
    """
    extra = (call or {}).get(CALL_EXTRA)
    return {CALL_EXTRA: extra} if isinstance(extra, dict) and extra else None


ResultContent = str | Sequence[TextContent | ImageContent | FileContent | AudioContent]


@dataclass
class ToolCallResult(QuicklyCopied):
    """What a tool returned, or the error it ended with.

    Parameters
    ----------
    result
        Text, or a list of text, image, file and audio parts.
    origin
        The call that this answers.
    error
        Whether the tool failed.

    Examples
    --------
    >>> ToolCallResult("14:10", ToolCall("tide", {}, id="call_1"), error=False).to_dict()["result"]
    '14:10'
    """

    result: ResultContent
    origin: ToolCall
    error: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        result = self.result if isinstance(self.result, str) else [part_to_dict(part) for part in self.result]
        return {"result": result, "origin": self.origin.to_dict(), "error": self.error}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCallResult:
        """Read `to_dict`'s form.

        Raises
        ------
        ConfigurationError
            A key is missing (a ValueError).
        """
        if missing := [key for key in ("result", "origin", "error") if key not in data]:
            raise ConfigurationError(f"A tool call result lacks {', '.join(missing)}; it has {', '.join(data)}.")
        result = data["result"]
        if isinstance(result, list):
            result = [part_from_dict(part) for part in result]
        return cls(result, ToolCall.from_dict(data["origin"]), data["error"])


@dataclass
class ReasoningContent(QuicklyCopied):
    """A model's reasoning before its answer.

    Parameters
    ----------
    reasoning_text
        The readable part; may be empty.
    extra
        ``reasoning_details`` holds OpenRouter's items verbatim and in order, to be sent back (API section 3.4).
    came_as
        The field that the text came in, where there were no details: under that name it goes back beside tool calls.
        It is no part of the reasoning's identity.

    Examples
    --------
    >>> ReasoningContent("Need the tide tool.").to_dict()
    {'reasoning_text': 'Need the tide tool.', 'extra': {}}
    """

    reasoning_text: str
    extra: dict[str, Any] = field(default_factory=dict)
    came_as: str | None = field(default=None, compare=False, repr=False, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; the name of its original field is in ``extra``."""
        extra = self.extra if self.came_as is None else {**self.extra, _CAME_AS: self.came_as}
        return {"reasoning_text": self.reasoning_text, "extra": extra}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ReasoningContent:
        """Read `to_dict`'s form."""
        extra = data.get("extra")
        if not isinstance(extra, Mapping) or not isinstance(name := extra.get(_CAME_AS), str):
            return cls(**data)
        rest = {key: value for key, value in extra.items() if key != _CAME_AS}
        return cls(**{**data, "extra": rest}, came_as=name)


Part = (
    TextContent
    | ToolCall
    | ToolCallResult
    | ImageContent
    | ReasoningContent
    | FileContent
    | AudioContent
    | VideoContent
)

# Text is the one part without a wrapping key.
_WRAPPED: dict[str, type[Part]] = {
    "tool_call": ToolCall,
    "tool_call_result": ToolCallResult,
    "image": ImageContent,
    "reasoning": ReasoningContent,
    "file": FileContent,
    "audio": AudioContent,
    "video": VideoContent,
}
_KEY_OF = {kind: key for key, kind in _WRAPPED.items()}
# What tells a part that was written flat, without its wrapping key (a pydantic dump, say).
_FLAT: tuple[tuple[frozenset[str], type[Part]], ...] = (
    (frozenset({"tool_name", "arguments"}), ToolCall),
    (frozenset({"result", "origin"}), ToolCallResult),
    (frozenset({"reasoning_text"}), ReasoningContent),
    (frozenset({"base64_image"}), ImageContent),
    (frozenset({"base64_data"}), FileContent),
)


def part_to_dict(part: Part) -> dict[str, Any]:
    """Return a part's JSON form inside a message.

    Raises
    ------
    TypeError
        It is no content part.

    Examples
    --------
    >>> part_to_dict(ReasoningContent("Hm."))
    {'reasoning': {'reasoning_text': 'Hm.', 'extra': {}}}
    """
    if isinstance(part, TextContent):
        return part.to_dict()
    if (key := _KEY_OF.get(type(part))) is None:
        raise TypeError(f"{part!r} is a {type(part).__name__}, not a content part.")
    return {key: part.to_dict()}


def part_from_dict(data: Any) -> Part:
    """Read `part_to_dict`'s form, or a part written flat.

    Raises
    ------
    ConfigurationError
        It is no part that we know (a ValueError).

    Examples
    --------
    >>> part_from_dict({"text": "Hello"})
    TextContent(text='Hello', cache_control=None)
    """
    if isinstance(data, Mapping):
        if "text" in data:
            return TextContent.from_dict(data)
        for key, kind in _WRAPPED.items():
            if key in data:
                return kind.from_dict(data[key])
        for keys, kind in _FLAT:
            if keys <= data.keys():
                return kind.from_dict(dict(data))
    raise ConfigurationError(
        f"{data!r:.200} is no content part that can be loaded.",
        hint=f"A part has one of the keys text, {', '.join(_WRAPPED)}.",
    )
