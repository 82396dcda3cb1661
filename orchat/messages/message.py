"""`ChatMessage`: the role of a message's speaker, and its content parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from orchat.errors import ConfigurationError
from orchat.messages.data_copy import QuicklyCopied
from orchat.messages.media import AudioContent, FileContent, ImageContent, VideoContent
from orchat.messages.parts import (
    Part,
    ReasoningContent,
    ResultContent,
    TextContent,
    ToolCall,
    ToolCallResult,
    part_from_dict,
    part_to_dict,
)
from orchat.messages.parts_by_kind import MessageContent

_MAX_REPR = 20_000  # characters
P = TypeVar("P", bound=Part)
UserPart = TextContent | ImageContent | FileContent | AudioContent | VideoContent


class ChatRole(str, Enum):  # noqa: UP042 - its str() is Haystack's, `ChatRole.USER`
    """The role of a message's speaker.

    Examples
    --------
    >>> ChatRole.USER == "user"
    True
    """

    USER = "user"
    SYSTEM = "system"
    ASSISTANT = "assistant"
    TOOL = "tool"

    @classmethod
    def from_str(cls, text: str) -> ChatRole:
        """Return the role of that name.

        Raises
        ------
        ConfigurationError
            There is none (a ValueError).
        """
        try:
            return cls(text)
        except ValueError:
            raise ConfigurationError(
                f"{text!r} is not a role.", hint=f"Roles are {', '.join(role.value for role in cls)}."
            ) from None


@dataclass(eq=False, repr=False)
class ChatMessage(MessageContent, QuicklyCopied):
    """One message of a conversation; made with `from_user`, `from_system`, `from_assistant` or `from_tool`.

    Its dictionary form is Haystack's, so that messages travel between the two.

    Examples
    --------
    >>> message = ChatMessage.from_user("Name a river.")
    >>> message.to_dict()
    {'role': 'user', 'meta': {}, 'name': None, 'content': [{'text': 'Name a river.'}]}
    >>> ChatMessage.from_dict(message.to_dict()) == message
    True
    """

    _role: ChatRole
    _content: Sequence[Part]
    _name: str | None = None
    _meta: dict[str, Any] = field(default_factory=dict)
    # What `response_format` made of the text. Derived, so neither compared nor saved.
    _parsed: Any = None
    # The API's name of the role, where it has two: `developer` for a system message. Saved in `meta`, not compared.
    _sent_role: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ChatMessage):
            return NotImplemented
        return (self._role, list(self._content), self._name, self._meta) == (
            other._role,
            list(other._content),
            other._name,
            other._meta,
        )

    __hash__ = None  # type: ignore[assignment]  # a message holds mutable parts

    def __repr__(self) -> str:
        # A cell that ends with a message puts this into the notebook.
        fields = {"_role": self._role, "_content": self._content, "_name": self._name, "_meta": self._meta}
        text = f"ChatMessage({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
        if len(text) <= _MAX_REPR:
            return text
        return f"{text[: _MAX_REPR // 2]} ... {len(text) - _MAX_REPR:,} characters ... {text[-_MAX_REPR // 2 :]}"

    # -- making one ---------------------------------------------------------------------------------------------

    @classmethod
    def from_user(
        cls,
        text: str | None = None,
        meta: dict[str, Any] | None = None,
        name: str | None = None,
        *,
        content_parts: Sequence[str | UserPart] | None = None,
    ) -> ChatMessage:
        """Make a user's message from a text or from parts (texts, images, files, audio, video).

        Raises
        ------
        ConfigurationError
            Neither or both are given, or there are no parts (a ValueError).
        TypeError
            A part is of another kind.
        """
        if (text is None) == (content_parts is None):
            raise ConfigurationError("A user's message takes either text or content_parts.")
        if content_parts is None:
            parts: list[Part] = [_text_part(text)]
        else:
            parts = [_user_part(part) for part in content_parts]
            if not parts:
                raise ConfigurationError("content_parts is empty; a user's message needs at least one part.")
        return cls(ChatRole.USER, parts, name, meta or {})

    @classmethod
    def from_system(
        cls,
        text: str | None = None,
        meta: dict[str, Any] | None = None,
        name: str | None = None,
        *,
        content_parts: Sequence[str | TextContent] | None = None,
    ) -> ChatMessage:
        """Make a system message, with instructions for the model, as a text or as parts with caching breakpoints.

        Raises
        ------
        ConfigurationError
            Neither or both are given, or there are no parts (a ValueError).
        TypeError
            A part is no text.

        Examples
        --------
        >>> rules = TextContent("Be brief.", cache_control={"type": "ephemeral"})
        >>> ChatMessage.from_system(content_parts=[rules, "Speak of rivers."]).texts
        ['Be brief.', 'Speak of rivers.']
        """
        return cls(
            ChatRole.SYSTEM, _text_or_parts("A system message", text, content_parts, (TextContent,)), name, meta or {}
        )

    @classmethod
    def from_assistant(
        cls,
        text: str | None = None,
        meta: dict[str, Any] | None = None,
        name: str | None = None,
        tool_calls: Sequence[ToolCall] | None = None,
        *,
        reasoning: str | ReasoningContent | None = None,
        images: Sequence[ImageContent] | None = None,
        audio: AudioContent | None = None,
        content_parts: Sequence[str | TextContent | ImageContent] | None = None,
    ) -> ChatMessage:
        """Make a model's message; its parts are in the order reasoning, text, tool calls, images, audio.

        ``content_parts`` take the place of ``text``: several texts, with or without caching breakpoints, and images.

        Raises
        ------
        ConfigurationError
            Both a text and parts are given, or there are no parts (a ValueError).
        TypeError
            ``reasoning`` is neither a text nor a ReasoningContent.
        """
        parts: list[Part] = []
        if reasoning:
            if isinstance(reasoning, str):
                reasoning = ReasoningContent(reasoning)
            if not isinstance(reasoning, ReasoningContent):
                raise TypeError(f"reasoning must be a str or a ReasoningContent, not {type(reasoning).__name__}.")
            parts.append(reasoning)
        if text is not None or content_parts is not None:
            parts += _text_or_parts("An assistant message", text, content_parts, (TextContent, ImageContent))
        parts += tool_calls or ()
        parts += images or ()
        if audio is not None:
            parts.append(audio)
        return cls(ChatRole.ASSISTANT, parts, name, meta or {})

    @classmethod
    def from_tool(
        cls, tool_result: ResultContent, origin: ToolCall, error: bool = False, meta: dict[str, Any] | None = None
    ) -> ChatMessage:
        """Make the answer to a tool call."""
        return cls(ChatRole.TOOL, [ToolCallResult(tool_result, origin, error)], None, meta or {})

    # -- reading it ---------------------------------------------------------------------------------------------

    @property
    def role(self) -> ChatRole:
        """The speaker's role."""
        return self._role

    @property
    def sent_role(self) -> str:
        """The role as the API is told it: that of a message that came as ``developer`` is that again."""
        return self._sent_role or self._role.value

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about the message (model, usage, finish reason ...); never sent."""
        return self._meta

    @property
    def name(self) -> str | None:
        """The speaker's name, where there is one."""
        return self._name

    @property
    def parsed(self) -> Any:
        """The text, parsed as ``response_format`` says: a pydantic object or JSON data; None without one."""
        return self._parsed

    def is_from(self, role: ChatRole | str) -> bool:
        """Whether the message has that role."""
        return self._role is (role if isinstance(role, ChatRole) else ChatRole.from_str(role))

    # -- as data ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "role": self._role._value_,  # `value` is a descriptor that takes longer than all else here
            "meta": self._meta if self._sent_role is None else {**self._meta, "role": self._sent_role},
            "name": self._name,
            "content": [part_to_dict(part) for part in self._content],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChatMessage:
        """Read `to_dict`'s form, and Haystack's older ones.

        Raises
        ------
        ConfigurationError
            Role or content are missing or unknown (a ValueError).
        TypeError
            The content is neither a text nor a list.
        """
        if "_role" in data:  # Haystack 2.9 to 2.11
            data = {key.removeprefix("_"): value for key, value in data.items()}
        for key in ("role", "content"):
            if key not in data:
                raise ConfigurationError(f"A message needs `{key}`; this one has {', '.join(data) or 'nothing'}.")
        content = data["content"]
        if isinstance(content, str):  # before Haystack 2.9
            parts: list[Part] = [TextContent(content)]
        elif isinstance(content, list):
            parts = [part_from_dict(part) for part in content]
        else:
            raise TypeError(f"A message's content is a str or a list of parts, not {type(content).__name__}.")
        role, meta = ChatRole.from_str(data["role"]), data.get("meta") or {}
        sent_role = None
        if role is ChatRole.SYSTEM and meta.get("role") == "developer":
            meta = {key: value for key, value in meta.items() if key != "role"}
            sent_role = "developer"
        return cls(role, parts, data.get("name"), meta, _sent_role=sent_role)

    @classmethod
    def adopt(cls, message: Any) -> ChatMessage:
        """Convert Haystack's message by its dictionary form; one of ours is returned as it is.

        Raises
        ------
        TypeError
            It is no message.

        Examples
        --------
        >>> ChatMessage.adopt("Name a river.")
        Traceback (most recent call last):
        TypeError: 'Name a river.' is a str, not a ChatMessage: ChatMessage.from_user makes one of it.
        """
        if isinstance(message, cls):
            return message
        if type(message).__name__ == "ChatMessage" and hasattr(message, "to_dict"):
            return cls.from_dict(message.to_dict())
        way = ""
        if isinstance(message, str):
            way = ": ChatMessage.from_user makes one of it"
        elif isinstance(message, Mapping) and "role" in message:
            way = ": ChatMessage.from_openai_dict_format makes one of it"
        elif isinstance(message, UserPart):
            way = ": ChatMessage.from_user(content_parts=[...]) takes it beside a text"
        raise TypeError(f"{message!r:.100} is a {type(message).__name__}, not a ChatMessage{way}.")

    def to_openai_dict_format(self, require_tool_call_ids: bool = True) -> dict[str, Any]:
        """Convert the message to the form of the chat completions API.

        Parameters
        ----------
        require_tool_call_ids
            Whether a tool call or result without an id is an error; otherwise the id is left out.

        Raises
        ------
        ConfigurationError
            The message cannot be sent as it is (a ValueError).
        """
        from orchat.messages.openai_format import encode_message

        return encode_message(self, require_tool_call_ids=require_tool_call_ids)

    @classmethod
    def from_openai_dict_format(cls, message: Mapping[str, Any]) -> ChatMessage:
        """Read a message in the form of the chat completions API.

        Raises
        ------
        ConfigurationError
            It is no such message (a ValueError).
        """
        from orchat.messages.openai_format import decode_message

        decoded = decode_message(message)
        meta = dict(decoded.meta)
        sent_role = meta.pop("role", None)
        return cls(ChatRole(decoded.role), decoded.parts, decoded.name, meta, _sent_role=sent_role)


def _text_or_parts(
    what: str, text: str | None, content_parts: Sequence[Any] | None, kinds: tuple[type[Any], ...]
) -> list[Part]:
    if (text is None) == (content_parts is None):
        raise ConfigurationError(f"{what} takes either text or content_parts.")
    if content_parts is None:
        return [_text_part(text)]
    parts = [TextContent(part) if isinstance(part, str) else part for part in content_parts]
    if not parts:
        raise ConfigurationError(f"The content_parts are empty; {what.lower()} needs at least one.")
    for part in parts:
        if not isinstance(part, kinds):
            raise TypeError(f"{part!r:.100} is a {type(part).__name__}, which {what.lower()} cannot hold.")
    return parts


def _text_part(text: Any) -> TextContent:
    if not isinstance(text, str):
        raise TypeError(f"{text!r:.100} is of the type {type(text).__name__}, where a message takes a text.")
    return TextContent(text)


def _user_part(part: Any) -> Part:
    if isinstance(part, str):
        return TextContent(part)
    if isinstance(part, TextContent | ImageContent | FileContent | AudioContent | VideoContent):
        return part
    if type(part).__name__ in {"TextContent", "ImageContent", "FileContent"} and hasattr(part, "to_dict"):
        return part_from_dict(part.to_dict())  # Haystack's own
    raise TypeError(f"{part!r:.100} is a {type(part).__name__}, which a user's message cannot hold.")
