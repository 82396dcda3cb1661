"""Convert messages to the form of the OpenAI chat completions API, and back (API section 2)."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from orchat.errors import ConfigurationError
from orchat.messages.lenient_json import BLANKS
from orchat.messages.media import AudioContent, FileContent, ImageContent, VideoContent
from orchat.messages.parts import Part, ReasoningContent, TextContent, ToolCall, ToolCallResult, extra_of_call, is_blank
from orchat.messages.reasoning_details import THINKING_BLOCKS
from orchat.messages.tool_arguments import read_arguments

_log = logging.getLogger(__name__)

DEVELOPER = "developer"
"""OpenAI's newer name for the system role; a message that came under it goes back under it."""
REASONING_FIELDS = ("reasoning", "reasoning_content")
"""The fields that hold plain reasoning; it goes back under the name that it came under."""
_SENDABLE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXT_ROLES = frozenset({"user", "system"})
_EMPTY_RESULT = "(empty)"  # a blank one is refused by several providers


class DecodedMessage(NamedTuple):
    """The fields of a message, decoded from the API's form."""

    role: str
    parts: list[Part]
    name: str | None = None
    meta: dict[str, Any] = {}  # noqa: RUF012 - never changed: `ChatMessage` copies it


class ReadableMessage(Protocol):
    """What is read of a message to encode it; `orchat.messages.ChatMessage` is one."""

    @property
    def role(self) -> Any:
        """Its role, equal to the API's name of it."""

    @property
    def sent_role(self) -> str:
        """Its role as the API is told it."""

    @property
    def parts(self) -> Sequence[Part]:
        """All content parts, in order."""

    @property
    def name(self) -> str | None:
        """The speaker's name."""

    @property
    def meta(self) -> dict[str, Any]:
        """Facts about it; of them ``refusal`` and ``annotations`` are sent."""

    @property
    def text(self) -> str | None:
        """The first text."""

    @property
    def reasoning(self) -> ReasoningContent | None:
        """The first reasoning."""

    @property
    def images(self) -> list[ImageContent]:
        """All images."""

    @property
    def audio(self) -> AudioContent | None:
        """The first sound."""

    @property
    def tool_calls(self) -> list[ToolCall]:
        """All tool calls."""

    @property
    def tool_call_results(self) -> list[ToolCallResult]:
        """All tool call results."""


def encode_message(message: ReadableMessage, *, require_tool_call_ids: bool = True) -> dict[str, Any]:
    """Encode a message in the form of the chat completions API.

    Raises
    ------
    ConfigurationError
        The message cannot be sent as it is (a ValueError).

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> encode_message(ChatMessage.from_system("Be brief."))
    {'role': 'system', 'content': 'Be brief.'}
    """
    [only] = message.parts if len(message.parts) == 1 else [None]
    if message.role in _TEXT_ROLES and not message.name and type(only) is TextContent and only.cache_control is None:
        return {"role": message.sent_role, "content": only.text}  # most are so, and there may be millions
    if message.role == "tool" or message.tool_call_results:
        return _tool_result_to_openai(message, require_tool_call_ids)
    wire: dict[str, Any] = {"role": message.role.value}
    if message.role == "assistant":
        _add_assistant_parts(wire, message, require_tool_call_ids)
    else:
        if not message.parts:
            raise ConfigurationError(f"A {message.role.value} message without content cannot be sent.")
        wire["role"] = message.sent_role
        wire["content"] = _content_of(_without_blanks(message.parts) or message.parts)
    if message.name:
        wire["name"] = message.name
    return wire


def says_nothing(message: ReadableMessage) -> bool:
    r"""Whether a message holds nothing but blanks: it is not sent where others are there.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> says_nothing(ChatMessage.from_assistant("\n\n")), says_nothing(ChatMessage.from_user("Hi"))
    (True, False)
    """
    for part in message.parts:
        if not isinstance(part, ReasoningContent) and not is_blank(part):
            return False
    return not (message.role == "tool" or message.tool_call_results or message.meta.get("refusal"))


def _without_blanks(parts: Sequence[Any]) -> list[Any]:
    return [part for part in parts if not is_blank(part)]


def _content_of(parts: Sequence[Any]) -> str | list[dict[str, Any]]:
    """Return content as a text where one says all, else as parts."""
    [only] = parts if len(parts) == 1 else [None]
    if isinstance(only, TextContent) and only.cache_control is None:
        return only.text
    return [_part_to_openai(part) for part in parts]


def _add_assistant_parts(wire: dict[str, Any], message: ReadableMessage, require_ids: bool) -> None:
    calls, refusal = message.tool_calls, message.meta.get("refusal")
    texts = [part for part in message.parts if isinstance(part, TextContent)]
    if said := _without_blanks(texts):
        wire["content"] = _content_of(said)
    elif message.images or message.audio:
        wire["content"] = None
    elif not calls and not refusal:
        wire["content"] = ""
    # What the model must get back unchanged (API sections 2.6 and 3.3).
    reasoning = message.reasoning
    if reasoning is not None and isinstance(details := reasoning.extra.get("reasoning_details"), list):
        wire["reasoning_details"] = [_detail(item) for item in details]  # also none: some backends want it back
    elif reasoning is not None and isinstance(blocks := reasoning.extra.get(THINKING_BLOCKS), list) and blocks:
        wire[THINKING_BLOCKS] = blocks
    elif reasoning is not None and calls and reasoning.came_as in REASONING_FIELDS:
        wire[reasoning.came_as] = reasoning.reasoning_text
    annotations = message.meta.get("annotations")
    annotations = annotations if isinstance(annotations, list) else []
    if files := [item for item in annotations if isinstance(item, dict) and item.get("type") == "file"]:
        wire["annotations"] = files
    if message.images:
        wire["images"] = [
            _image_to_openai(image) | ({"index": image.meta["index"]} if "index" in image.meta else {})
            for image in message.images
        ]
    if message.audio is not None and "id" in message.audio.meta:
        wire["audio"] = {"id": message.audio.meta["id"]}
    if isinstance(refusal, str):
        if calls:
            _log.warning("A refusal beside tool calls is not sent: the API has no place for both.")
        elif not said:
            wire["content"] = [{"type": "refusal", "refusal": refusal}]
        else:
            wire["refusal"] = refusal
    if calls:
        wire["tool_calls"] = [_call_to_openai(call, require_ids) for call in calls]


def _call_to_openai(call: ToolCall, require_ids: bool) -> dict[str, Any]:
    # Providers parse old arguments: a malformed text would make every later request fail, so it travels inside JSON.
    malformed = call.malformed_arguments
    arguments = call.json_arguments if malformed is None else json.dumps({"malformed": malformed}, ensure_ascii=False)
    function = {"name": sendable_name(call.tool_name), "arguments": arguments}
    return {
        **_call_id(call, "id", require_ids),
        "type": "function",
        "function": function,
        **(extra_of_call(call.extra) or {}),
    }


def sendable_name(name: str) -> str:
    """Return a tool's name in a form that every provider takes: 1 to 64 letters, digits, ``_`` and ``-``.

    Models call tools by names that they made up, or that end in their template's markers; such a call stays in the
    conversation, and would make each later request fail.

    Examples
    --------
    >>> sendable_name("tide"), sendable_name("multi_tool_use.parallel"), sendable_name(" ")
    ('tide', 'multi_tool_use_parallel', 'unnamed')
    """
    if _SENDABLE.fullmatch(name):
        return name
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:64] or "unnamed"


def _detail(item: Any) -> Any:
    """Return a reasoning detail as it came, but for a signature that is empty: providers answer 400 to it."""
    if isinstance(item, dict) and item.get("signature") == "":
        return {key: value for key, value in item.items() if key != "signature"}
    return item


def _call_id(call: ToolCall, key: str, required: bool) -> dict[str, str]:
    if call.id is not None:
        return {key: call.id}
    if required:
        raise ConfigurationError(
            f"The call of tool `{call.tool_name}` has no id, which the API needs.", hint="Give ToolCall(..., id=...)."
        )
    return {}


def _tool_result_to_openai(message: ReadableMessage, require_ids: bool) -> dict[str, Any]:
    if len(message.parts) != 1 or not isinstance(result := message.parts[0], ToolCallResult):
        raise ConfigurationError("A tool's message holds exactly one tool call result and nothing else.")
    content = result.result
    if not isinstance(content, str):
        if not isinstance(content, Sequence) or not all(
            isinstance(part, TextContent | ImageContent | FileContent | AudioContent) for part in content
        ):
            raise ConfigurationError(
                f"A tool's result must be a text or a list of text, image, file and audio parts, not {content!r:.100}."
            )
        sent: Any = [_part_to_openai(part) for part in _without_blanks(content)]
    else:
        sent = content if content.strip(BLANKS) else ""
    return {"role": "tool", "content": sent or _EMPTY_RESULT, **_call_id(result.origin, "tool_call_id", require_ids)}


def _part_to_openai(part: Any) -> dict[str, Any]:
    match part:
        case TextContent():
            wire: dict[str, Any] = {"type": "text", "text": part.text}
        case ImageContent():
            wire = _image_to_openai(part)
        case FileContent():
            name = part.filename if part.url else part.filename or "filename"
            data = part.url or f"data:{part.mime_type or 'application/pdf'};base64,{part.base64_data}"
            wire = {"type": "file", "file": {"file_data": data, **({"filename": name} if name else {})}}
        case AudioContent():
            wire = {"type": "input_audio", "input_audio": {"data": part.base64_audio, "format": part.format}}
        case VideoContent():
            url = part.url or f"data:{part.mime_type};base64,{part.base64_video}"
            wire = {"type": "video_url", "video_url": {"url": url}}
        case _:
            raise ConfigurationError(f"A {type(part).__name__} cannot be sent in a message of this role.")
    if (cache_control := getattr(part, "cache_control", None)) is not None:
        wire["cache_control"] = cache_control
    return wire


def _image_to_openai(image: ImageContent) -> dict[str, Any]:
    url = image.url or f"data:{image.mime_type or 'image/jpeg'};base64,{image.base64_image}"
    return {"type": "image_url", "image_url": {"url": url, **({"detail": image.detail} if image.detail else {})}}


def decode_message(wire: Mapping[str, Any]) -> DecodedMessage:
    """Decode a message from the form of the chat completions API.

    Raises
    ------
    ConfigurationError
        It is no such message (a ValueError).

    Examples
    --------
    >>> decode_message({"role": "developer", "content": "Be brief."}).role
    'system'
    """
    role, content, name = wire.get("role"), wire.get("content"), wire.get("name")
    if content is not None and not isinstance(content, str | list):
        raise ConfigurationError(f"A message's content is a text or a list of parts, not {type(content).__name__}.")
    if role == "assistant":
        return _assistant_from_openai(wire)
    if content is None or role not in {"user", "system", "developer", "tool"}:
        missing = "no content" if content is None else f"the role {role!r}"
        raise ConfigurationError(f"A message with {missing} cannot be read.")
    if role == "user":
        if isinstance(content, str):
            return DecodedMessage("user", [TextContent(content)], name)
        if not content:
            raise ConfigurationError("A user's message without content cannot be read.")
        return DecodedMessage("user", [part_from_openai(part) for part in content], name)
    if role == "tool":
        origin = ToolCall("", {}, id=wire.get("tool_call_id"))
        result = content if isinstance(content, str) else [part_from_openai(part) for part in content]
        return DecodedMessage("tool", [ToolCallResult(result, origin, error=False)])
    return DecodedMessage("system", _texts(content), name, {"role": DEVELOPER} if role == DEVELOPER else {})


def _assistant_from_openai(wire: Mapping[str, Any]) -> DecodedMessage:
    content = wire.get("content")
    refusals = [wire["refusal"]] if wire.get("refusal") else []
    if isinstance(content, list):
        refusals += [part["refusal"] for part in content if isinstance(part, dict) and "refusal" in part]
        texts = [part for part in content if not (isinstance(part, dict) and "refusal" in part)]
        content = texts or None
    try:
        calls = [_call_from_openai(call) for call in wire.get("tool_calls") or ()]
    except (KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"The tool calls {wire['tool_calls']!r:.200} cannot be read.") from None
    thoughts = _reasoning_from_openai(wire)
    if content is None and not calls and not refusals and not thoughts:
        raise ConfigurationError("An assistant's message needs content, tool_calls or a refusal.")
    meta: dict[str, Any] = {"refusal": "\n".join(dict.fromkeys(map(str, refusals)))} if refusals else {}
    if isinstance(annotations := wire.get("annotations"), list) and annotations:
        meta["annotations"] = annotations
    parts: list[Part] = [] if content is None else _texts(content)
    images = [part_from_openai({"type": "image_url", **_object(item)}) for item in wire.get("images") or ()]
    for image, item in zip(images, wire.get("images") or (), strict=True):
        if isinstance(item.get("index"), int):
            image.meta["index"] = item["index"]
    return DecodedMessage("assistant", [*thoughts, *parts, *calls, *images], wire.get("name"), meta)


def _object(item: Any) -> dict[str, Any]:
    return item if isinstance(item, dict) else {}


def _reasoning_from_openai(wire: Mapping[str, Any]) -> list[Part]:
    details = wire.get("reasoning_details")
    name = next((name for name in REASONING_FIELDS if isinstance(wire.get(name), str) and wire[name]), None)
    if not isinstance(details, list):
        blocks = wire.get(THINKING_BLOCKS)
        extra = {THINKING_BLOCKS: blocks} if isinstance(blocks, list) and blocks else {}
        return [ReasoningContent(wire[name] if name else "", extra, came_as=name)] if name or extra else []
    words = (_object(item).get("text") or _object(item).get("summary") for item in details)
    text = wire[name] if name else "".join(word for word in words if isinstance(word, str))
    return [ReasoningContent(text, {"reasoning_details": details})] if text or details else []


def _call_from_openai(call: Mapping[str, Any]) -> ToolCall:
    function = call["function"]
    arguments = read_arguments(function.get("arguments"))
    extra = {**(arguments.extra or {}), **(extra_of_call(call) or {})} or None
    return ToolCall(function["name"], arguments.values, call.get("id"), extra, arguments_text=arguments.text)


def _texts(content: str | list[Any]) -> list[Part]:
    """Read content that is text only: one text, or several where a prompt-caching breakpoint stands between them."""
    if isinstance(content, str):
        return [TextContent(content)]
    parts = [part_from_openai(part) for part in content]
    if not all(isinstance(part, TextContent) for part in parts):
        raise ConfigurationError("Here only text parts can be read.")
    if any(part.cache_control is not None for part in parts):
        return parts
    return [TextContent("\n".join(part.text for part in parts))]


def part_from_openai(part: Any) -> Any:
    """Decode one content part; URLs stay URLs, and a bare text is one."""
    if isinstance(part, str):
        return TextContent(part)
    try:
        match part["type"]:
            case "text":
                return TextContent(part["text"], part.get("cache_control"))
            case "image_url":
                image = ImageContent.from_url(part["image_url"]["url"], detail=part["image_url"].get("detail"))
                image.cache_control = part.get("cache_control")
                return image
            case "file":
                file = FileContent.from_url(part["file"]["file_data"], filename=part["file"].get("filename"))
                file.cache_control = part.get("cache_control")
                return file
            case "input_audio":
                return AudioContent(part["input_audio"]["data"], part["input_audio"]["format"])
            case "video_url":
                return VideoContent.from_url(part["video_url"]["url"])
    except (KeyError, TypeError, AttributeError):
        pass
    raise ConfigurationError(f"The content part {part!r:.200} cannot be read.")
