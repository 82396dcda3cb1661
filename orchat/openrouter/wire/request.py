"""Messages and tools as the chat completions API takes them (API section 2), and back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchat.errors import ConfigurationError
from orchat.message_assembly import parse_arguments
from orchat.messages import (
    AudioContent,
    ChatMessage,
    ChatRole,
    FileContent,
    ImageContent,
    TextContent,
    ToolCall,
    ToolCallResult,
    VideoContent,
)
from orchat.openrouter.wire.structured import strict_schema
from orchat.tools import Tool

_log = logging.getLogger(__name__)


def chat_body(
    *,
    model: str,
    messages: Iterable[ChatMessage],
    tools: Sequence[Tool],
    tools_strict: bool,
    response_format: Mapping[str, Any] | None,
    stream: bool,
    n: int,
    generation_kwargs: Mapping[str, Any],
    server_tools: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Build the body of ``POST /chat/completions``; every generation kwarg goes in as it is, and wins.

    Server tools, which OpenRouter runs itself, stand behind all others.

    Examples
    --------
    >>> body = chat_body(model="vendor/m", messages=[ChatMessage.from_user("Hi")], tools=[], tools_strict=False,
    ...                  response_format=None, stream=False, n=1, generation_kwargs={"seed": 7})
    >>> list(body)
    ['model', 'messages', 'n', 'stream', 'seed']
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [message_to_wire(message) for message in messages],
        "n": n,
        "stream": stream,
    }
    if tools:
        body["tools"] = [tool_to_wire(tool, strict=tools_strict) for tool in tools]
    if response_format is not None:
        body["response_format"] = response_format
    body |= generation_kwargs
    if server_tools:
        body["tools"] = [*(body.get("tools") or ()), *server_tools]
    return body


def tool_to_wire(tool: Tool, *, strict: bool) -> dict[str, Any]:
    """Return a tool's wire form; a strict one has a strict schema at every level, and the Tool stays as it is."""
    spec = dict(tool.tool_spec)
    if strict:
        spec = {**spec, "strict": True, "parameters": strict_schema(spec["parameters"])}
    return {"type": "function", "function": spec}


def message_to_wire(message: ChatMessage, *, require_tool_call_ids: bool = True) -> dict[str, Any]:
    """Return a message's wire form.

    Raises
    ------
    ConfigurationError
        The message cannot be sent as it is (a ValueError).

    Examples
    --------
    >>> message_to_wire(ChatMessage.from_system("Be brief."))
    {'role': 'system', 'content': 'Be brief.'}
    """
    if message.role is ChatRole.TOOL or message.tool_call_results:
        return _tool_result_to_wire(message, require_tool_call_ids)
    wire: dict[str, Any] = {"role": message.role.value}
    if message.role is ChatRole.ASSISTANT:
        _add_assistant_parts(wire, message, require_tool_call_ids)
    else:
        parts = [_part_to_wire(part) for part in message.parts]
        if not parts:
            raise ConfigurationError(f"A {message.role.value} message without content cannot be sent.")
        wire["content"] = parts
        only = message.parts[0]
        if len(parts) == 1 and isinstance(only, TextContent) and only.cache_control is None:
            wire["content"] = only.text
    if message.name:
        wire["name"] = message.name
    return wire


def _add_assistant_parts(wire: dict[str, Any], message: ChatMessage, require_ids: bool) -> None:
    calls, refusal = message.tool_calls, message.meta.get("refusal")
    if message.text is not None:
        wire["content"] = message.text
    elif message.images or message.audio:
        wire["content"] = None
    elif not calls and not refusal:
        wire["content"] = ""
    # What the model must get back unchanged (API sections 2.6 and 3.3).
    reasoning = message.reasoning
    if reasoning is not None and isinstance(details := reasoning.extra.get("reasoning_details"), list):
        wire["reasoning_details"] = details  # an empty list as well: some backends want it back
    annotations = message.meta.get("annotations")
    annotations = annotations if isinstance(annotations, list) else []
    if files := [item for item in annotations if isinstance(item, dict) and item.get("type") == "file"]:
        wire["annotations"] = files
    if message.images:
        wire["images"] = [_image_to_wire(image) for image in message.images]
    if message.audio is not None and "id" in message.audio.meta:
        wire["audio"] = {"id": message.audio.meta["id"]}
    if isinstance(refusal, str):
        if calls:
            _log.warning("A refusal beside tool calls is not sent: the API has no place for both.")
        elif message.text is None:
            wire["content"] = [{"type": "refusal", "refusal": refusal}]
        else:
            wire["refusal"] = refusal
    if calls:
        wire["tool_calls"] = [_call_to_wire(call, require_ids) for call in calls]


def _call_to_wire(call: ToolCall, require_ids: bool) -> dict[str, Any]:
    # Providers parse old arguments: a malformed text would make every later request fail, so it travels inside JSON.
    arguments = call.arguments if call.malformed_arguments is None else {"malformed": call.malformed_arguments}
    function = {"name": call.tool_name, "arguments": json.dumps(arguments, ensure_ascii=False)}
    return {**_call_id(call, "id", require_ids), "type": "function", "function": function}


def _call_id(call: ToolCall, key: str, required: bool) -> dict[str, str]:
    if call.id is not None:
        return {key: call.id}
    if required:
        raise ConfigurationError(
            f"The call of tool `{call.tool_name}` has no id, which the API needs.", hint="Give ToolCall(..., id=...)."
        )
    return {}


def _tool_result_to_wire(message: ChatMessage, require_ids: bool) -> dict[str, Any]:
    if len(message) != 1 or not isinstance(result := message.parts[0], ToolCallResult):
        raise ConfigurationError("A tool's message holds exactly one tool call result and nothing else.")
    content = result.result
    if not isinstance(content, str):
        if not isinstance(content, Sequence) or not all(
            isinstance(part, TextContent | ImageContent | FileContent) for part in content
        ):
            raise ConfigurationError(
                f"A tool's result must be a text or a list of text, image and file parts, not {content!r:.100}."
            )
        content = [_part_to_wire(part) for part in content]  # type: ignore[misc]
    return {"role": "tool", "content": content, **_call_id(result.origin, "tool_call_id", require_ids)}


def _part_to_wire(part: Any) -> dict[str, Any]:
    match part:
        case TextContent():
            wire: dict[str, Any] = {"type": "text", "text": part.text}
        case ImageContent():
            wire = _image_to_wire(part)
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


def _image_to_wire(image: ImageContent) -> dict[str, Any]:
    url = image.url or f"data:{image.mime_type or 'image/jpeg'};base64,{image.base64_image}"
    return {"type": "image_url", "image_url": {"url": url, **({"detail": image.detail} if image.detail else {})}}


def message_from_wire(wire: Mapping[str, Any]) -> ChatMessage:
    """Read a message in the API's own form.

    Raises
    ------
    ConfigurationError
        It is no such message (a ValueError).

    Examples
    --------
    >>> message_from_wire({"role": "developer", "content": "Be brief."}).role
    <ChatRole.SYSTEM: 'system'>
    """
    role, content, name = wire.get("role"), wire.get("content"), wire.get("name")
    if content is not None and not isinstance(content, str | list):
        raise ConfigurationError(f"A message's content is a text or a list of parts, not {type(content).__name__}.")
    if role == "assistant":
        return _assistant_from_wire(wire)
    if content is None or role not in {"user", "system", "developer", "tool"}:
        missing = "no content" if content is None else f"the role {role!r}"
        raise ConfigurationError(f"A message with {missing} cannot be read.")
    if role == "user":
        if isinstance(content, str):
            return ChatMessage.from_user(content, name=name)
        return ChatMessage.from_user(content_parts=[_part_from_wire(part) for part in content], name=name)
    if role == "tool":
        origin = ToolCall("", {}, id=wire.get("tool_call_id"))
        return ChatMessage.from_tool(
            content if isinstance(content, str) else [_part_from_wire(part) for part in content], origin
        )
    return ChatMessage.from_system(_joined(content), name=name)


def _assistant_from_wire(wire: Mapping[str, Any]) -> ChatMessage:
    content = wire.get("content")
    refusals = [wire["refusal"]] if wire.get("refusal") else []
    if isinstance(content, list):
        refusals += [part["refusal"] for part in content if isinstance(part, dict) and "refusal" in part]
        texts = [part for part in content if not (isinstance(part, dict) and "refusal" in part)]
        content = _joined(texts) if texts else None
    try:
        calls = [_call_from_wire(call) for call in wire.get("tool_calls") or ()]
    except (KeyError, TypeError, AttributeError):
        raise ConfigurationError(f"The tool calls {wire['tool_calls']!r:.200} cannot be read.") from None
    if content is None and not calls and not refusals:
        raise ConfigurationError("An assistant's message needs content, tool_calls or a refusal.")
    meta = {"refusal": "\n".join(dict.fromkeys(map(str, refusals)))} if refusals else None
    return ChatMessage.from_assistant(content, meta, wire.get("name"), calls)


def _call_from_wire(call: Mapping[str, Any]) -> ToolCall:
    function = call["function"]
    arguments, malformed = parse_arguments(function.get("arguments"))
    extra = None if malformed is None else {"malformed_arguments": malformed}
    return ToolCall(function["name"], arguments, call.get("id"), extra)


def _joined(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return content
    parts = [_part_from_wire(part) for part in content]
    if not all(isinstance(part, TextContent) for part in parts):
        raise ConfigurationError("Here only text parts can be read.")
    return "\n".join(part.text for part in parts if isinstance(part, TextContent))


def _part_from_wire(part: Any) -> Any:
    """Read one content part; addresses stay addresses."""
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
