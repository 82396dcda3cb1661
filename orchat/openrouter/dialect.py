"""Dialects of the API: headers, body and response changes for OpenRouter, other hosts and the embedded model. Pure.

OpenRouter's automatic extras go to OpenRouter only; a user's additions to a message go to every host but those that are
known to refuse them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchat.errors import ConfigurationError
from orchat.messages.parts import CALL_EXTRA
from orchat.messages.reasoning_details import THINKING_BLOCKS

if TYPE_CHECKING:
    from orchat.messages import ChatMessage

Rewrite = Callable[[dict[str, Any]], dict[str, Any]]

DEFAULT_MODEL = "openai/gpt-4o-mini"
DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
LOCAL_PREFIX = "local/"
LOCAL_MODEL = "local/smollm2-135m-instruct"
"""The name under which the embedded model is asked for."""
LOCAL_CONTEXT = 4096
"""How many tokens it can read."""

DEMO_NOTE = "demo model, often wrong"
# So small a model may ramble until its context is full, which takes minutes.
_MAX_TOKENS = 512
# Fields of an assistant's message that only OpenRouter takes.
_OPENROUTER_FIELDS = frozenset({"reasoning_details", "reasoning", "reasoning_content", "annotations", "images"})


@dataclass(frozen=True)
class Dialect:
    """The dialect of one endpoint: its headers, and how requests and responses are changed for it.

    Parameters
    ----------
    headers
        Headers of each request, unless the user gives the same header.
    note
        A text for each reply's ``meta["note"]``.
    is_free
        Whether answers cost nothing, although the endpoint sends no bill.
    prepare
        Converts a request body, and returns it with a function that converts events and replies (None for none).
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None
    is_free: bool = False
    prepare: Callable[[dict[str, Any]], tuple[dict[str, Any], Rewrite | None]] = lambda body: (body, None)

    def stamp(self, message: ChatMessage) -> ChatMessage:
        """Add to an answer, or what has arrived of it, the note and what its usage does not say: that it is free.

        Examples
        --------
        >>> from orchat.messages import ChatMessage
        >>> Dialect(note="demo", is_free=True).stamp(ChatMessage.from_assistant("Hi")).meta
        {'note': 'demo', 'usage': {'cost': 0}}
        """
        if self.note is not None:
            message.meta["note"] = self.note
        if self.is_free:
            usage = message.meta.get("usage")
            usage = usage if isinstance(usage, dict) else {}
            if usage.get("cost") is None:
                message.meta["usage"] = {**usage, "cost": 0}
        return message


def dialect_of(base_url: str, model: str) -> Dialect:
    """Choose the dialect for a host and a model.

    Examples
    --------
    >>> dialect_of("https://openrouter.ai/api/v1", "vendor/m").headers
    {'X-OpenRouter-Title': 'orchat'}
    >>> dialect_of("http://127.0.0.1:8000/api/v1", "local/smollm2-135m-instruct").note
    'demo model, often wrong'
    """
    if is_openrouter(base_url):
        return Dialect(headers={"X-OpenRouter-Title": "orchat"}, prepare=_prepare_openrouter)
    host = host_of(base_url)
    if model.startswith(LOCAL_PREFIX) and is_loopback(base_url):
        return Dialect(note=DEMO_NOTE, is_free=True, prepare=_prepare_embedded)
    if host == "api.openai.com" or host.endswith(".azure.com"):
        return Dialect(prepare=_prepare_openai)
    return Dialect(prepare=_prepare_other)


def _refusal_of(message: dict[str, Any]) -> str | None:
    """Return the refusal that is all of a message's content."""
    match message.get("content"):
        case [{"type": "refusal", "refusal": str() as refusal}]:
            return refusal
    return None


def _prepare_openrouter(body: dict[str, Any]) -> tuple[dict[str, Any], Rewrite | None]:
    """Move refusals into the field that the schema of messages has for them; of content parts it has no such kind."""
    refusals = [_refusal_of(message) for message in body.get("messages", ())]
    if any(refusal is not None for refusal in refusals):
        messages = [
            message if refusal is None else {**message, "content": None, "refusal": refusal}
            for message, refusal in zip(body["messages"], refusals, strict=True)
        ]
        body = {**body, "messages": messages}
    return _without_others_fields(body), None


def _without_others_fields(body: dict[str, Any]) -> dict[str, Any]:
    """Remove from messages and their tool calls what another host added, where a conversation has moved."""

    def bare(message: dict[str, Any]) -> dict[str, Any]:
        if THINKING_BLOCKS in message:
            message = {key: value for key, value in message.items() if key != THINKING_BLOCKS}
        calls = message.get("tool_calls")
        if not isinstance(calls, list) or not any(isinstance(call, dict) and CALL_EXTRA in call for call in calls):
            return message
        bare_calls = [
            {key: value for key, value in call.items() if key != CALL_EXTRA} if isinstance(call, dict) else call
            for call in calls
        ]
        return {**message, "tool_calls": bare_calls}

    return {**body, "messages": [bare(message) for message in body["messages"]]} if "messages" in body else body


@lru_cache(maxsize=256)  # asked several times for each request
def host_of(url: str) -> str:
    """Return a URL's host, in lower case; empty where there is none."""
    return (urlsplit(url).hostname or "").lower()


def is_openrouter(url: str) -> bool:
    """Whether the URL's host is OpenRouter's."""
    host = host_of(url)
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")


@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Whether the URL's host is the loopback of this machine, by its name or any of its addresses.

    Examples
    --------
    >>> [is_loopback(f"http://{host}:8000/v1") for host in ("127.0.1.1", "[::1]", "api.localhost", "10.0.0.1")]
    [True, True, True, False]
    """
    host = host_of(url).rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or bool((mapped := getattr(address, "ipv4_mapped", None)) and mapped.is_loopback)


def _prepare_openai(body: dict[str, Any]) -> tuple[dict[str, Any], Rewrite | None]:
    messages = [{k: v for k, v in message.items() if k not in _OPENROUTER_FIELDS} for message in body["messages"]]
    body = {**body, "messages": [_with_content(message) for message in messages]}
    _request_usage(body)
    return _without_others_fields(body), None


def _prepare_other(body: dict[str, Any]) -> tuple[dict[str, Any], Rewrite | None]:
    """Convert a request for a host that is neither OpenRouter nor known to differ from all others."""
    body = {**body}
    _request_usage(body)
    if "messages" in body:
        body["messages"] = [_with_refusal_as_text(_with_content(message)) for message in body["messages"]]
    return body, None


def _request_usage(body: dict[str, Any]) -> None:
    """Request the usage of a stream, which OpenRouter always sends; a whole reply has it, and vLLM refuses the option.

    Most servers send none unasked, and LiteLLM takes the upstream's out, with the cost in it.
    """
    if body.get("stream"):
        body.setdefault("stream_options", {"include_usage": True})
    else:
        body.pop("stream_options", None)


def _with_content(message: dict[str, Any]) -> dict[str, Any]:
    """Add an empty content to a message that only calls tools: llama-cpp-python refuses it without, and with null."""
    return {**message, "content": ""} if message.get("tool_calls") and message.get("content") is None else message


def _with_refusal_as_text(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose refusal is its text: only OpenAI's API has content parts of that kind."""
    refusal = _refusal_of(message)
    return message if refusal is None else {**message, "content": refusal}


def _prepare_embedded(body: dict[str, Any]) -> tuple[dict[str, Any], Rewrite | None]:
    """Convert a request for the embedded model; one that must call a tool becomes one for JSON.

    So small a model does not call tools by itself. Several tools, or a free choice, are beyond it: it answers as text.
    """
    body = {**body}
    if not body.keys() & {"max_tokens", "max_completion_tokens"}:
        body["max_tokens"] = _MAX_TOKENS
    _request_usage(body)
    tools, choice = body.pop("tools", None) or [], body.pop("tool_choice", "auto")
    # One message per turn is all that its template knows.
    body["messages"] = [_to_text_message(_with_refusal_as_text(message)) for message in body["messages"]]
    functions = {tool["function"]["name"]: tool["function"] for tool in tools if isinstance(tool.get("function"), dict)}
    name = ""
    if isinstance(choice, dict):
        name = str((choice.get("function") or {}).get("name"))
    elif choice == "required" and len(functions) == 1:
        name = next(iter(functions))
    if name not in functions:
        return body, None
    function = functions[name]
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    names = ", ".join(parameters.get("properties") or ())
    hint = (
        f"Call the function {name}({names}): {function.get('description') or name}. "
        "Reply with its arguments as JSON, taken from the user message."
    )
    body["messages"] = [{"role": "system", "content": hint}, *body["messages"]]
    body["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": _limit_strings(parameters)},
    }
    return body, _text_to_call(name)


def _to_text_message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        if other := {part.get("type") for part in content} - {"text"}:
            other_kinds = ", ".join(sorted(map(str, other)))
            raise ConfigurationError(
                f"The embedded model reads text only, not {other_kinds}.", hint="Ask another model."
            )
        content = "\n".join(part["text"] for part in content)
    if message.get("role") == "tool":
        return {"role": "user", "content": f"The tool answered: {content}"}
    if calls := message.get("tool_calls"):
        calls_text = "; ".join(f"{call['function']['name']}({call['function']['arguments']})" for call in calls)
        return {"role": "assistant", "content": f"{content or ''}\nI call {calls_text}.".strip()}
    return message


def _limit_strings(schema: Any) -> Any:
    """Add a ``maxLength`` to every string of a schema, or the model may never end one."""
    if isinstance(schema, list):
        return [_limit_strings(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bounded = {key: _limit_strings(value) for key, value in schema.items()}
    if schema.get("type") == "string" and not schema.keys() & {"enum", "const", "maxLength", "format"}:
        bounded["maxLength"] = 120
    return bounded


def _text_to_call(name: str) -> Rewrite:
    """Make a function that converts the answer's text, whole or in deltas, to a call of tool `name`."""
    started = False

    def rewrite(event: dict[str, Any]) -> dict[str, Any]:
        nonlocal started
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            message = (choice.get("delta") or choice.get("message")) if isinstance(choice, dict) else None
            if isinstance(message, dict) and (text := message.pop("content", None)):
                function = {"arguments": text} if started else {"name": name, "arguments": text}
                message["tool_calls"] = [{"index": 0, "type": "function", "function": function}]
                started = True
            if isinstance(choice, dict) and choice.get("finish_reason") == "stop":
                choice["finish_reason"] = "tool_calls"
        return event

    return rewrite
