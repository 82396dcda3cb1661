"""Would OpenRouter take this chat request? Asked of the request models of its official Python SDK.

The SDK's models ignore unknown keys and coerce values, so parsing alone would let a misspelt parameter or a number sent
as text pass. Here a body is parsed, written again and compared: what is lost or changed on the way is a problem.

What the API takes although the models do not know it stands in `GAPS`; such keys are taken out before the check.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from tests.openrouter_server.request import Request


@dataclass(frozen=True)
class Gap:
    """A key that the models lack: where it is (``*`` for any list item), a value it may have, and why it is taken."""

    path: str
    example: Any
    reason: str


_ONLY_EFFORT: Final = "documented; the models know effort and summary only (2.6)"
_AS_RECEIVED: Final = "comes with a reply and is sent back as it came (3.2)"

# Numbers are sections of the API reference.
GAPS: Final[tuple[Gap, ...]] = (
    Gap("audio", {"voice": "alloy", "format": "wav"}, "audio output, in the documentation only (2.1)"),
    Gap("include_reasoning", True, "legacy switch that still works (2.1)"),
    Gap("max_tool_calls", 5, "cap on server tools, in the documentation only (2.1)"),
    Gap("n", 2, "one choice is the rule, but OpenAI's clients send it (2.1)"),
    Gap("preset", "careful", "in the documentation only (2.1)"),
    Gap("random_seed", 7, "Mistral's name for seed, passed on (2.1)"),
    Gap("raw_mode", True, "Hyperbolic's own, passed on (2.1)"),
    Gap("route", "fallback", "deprecated, gone from the newer models (2.1)"),
    Gap("safe_prompt", True, "Mistral's own, passed on (2.1)"),
    Gap("structured_outputs", True, "exists as a supported parameter's name (2.1)"),
    Gap("transforms", ["middle-out"], "legacy form of context compression (2.1)"),
    Gap("usage", {"include": True}, "deprecated, does nothing (2.1)"),
    Gap("verbosity", "low", "in the documentation only (2.1)"),
    Gap("web_search_options", {"search_context_size": "low"}, "native search, in the documentation only (2.1)"),
    Gap("x_search_filter", {"from_date": "2026-01-01"}, "xAI's filters, in the documentation only (2.1)"),
    Gap("reasoning.max_tokens", 2000, _ONLY_EFFORT),
    Gap("reasoning.exclude", True, _ONLY_EFFORT),
    Gap("reasoning.enabled", True, _ONLY_EFFORT),
    Gap("reasoning.context", "auto", _ONLY_EFFORT),
    Gap("reasoning.mode", "pro", _ONLY_EFFORT),
    Gap("provider.max_price", {"prompt": 1.5}, "numbers in the documentation, strings in the models (2.7)"),
    Gap("provider.options", {"some-provider": {"key": 1}}, "any slug; the models know a fixed list (2.7)"),
    Gap("messages.*.annotations", [{"type": "file"}], "sent back to save parsing a file again (3.3)"),
    Gap("messages.*.reasoning_content", "Hm.", "alias of reasoning (2.2)"),
    Gap("messages.*.reasoning_details", [{"type": "reasoning.new"}], "sent back as received, unknown types too (3.4)"),
    Gap("messages.*.images.*.type", "image_url", _AS_RECEIVED),
    Gap("messages.*.images.*.index", 0, _AS_RECEIVED),
    Gap("messages.*.tool_calls.*.index", 0, _AS_RECEIVED),
)


@cache
def load() -> Any:
    """Import the official model of a chat request; it takes half a second."""
    from openrouter.components.chatrequest import ChatRequest

    return ChatRequest


@cache
def load_decisions() -> Any:
    """Import the official model of a request for decisions."""
    from openrouter.components.decisionsrequest import DecisionsRequest

    return DecisionsRequest


def problems_of(request: Request, allowed: Collection[str] = ()) -> list[str]:
    """What is wrong with a chat request; an empty list when it is fine."""
    problems = []
    content_type = request.headers.get("content-type", "")
    if content_type.split(";")[0].strip().lower() != "application/json":
        problems.append(f"Content-Type is {content_type!r}")
    if not isinstance(request.json, dict):
        return [*problems, "the body is no JSON object"]
    if request.path.endswith("/decisions"):
        return problems + problems_with(load_decisions(), request.json)
    return problems + problems_of_body(request.json, allowed)


def problems_of_body(body: dict[str, Any], allowed: Collection[str] = (), gaps: Iterable[Gap] = GAPS) -> list[str]:
    """What the official models say against a chat body.

    Parameters
    ----------
    body
        The parsed JSON.
    allowed
        Keys of the top level that are not looked at.
    gaps
        What else is taken out first.
    """
    body = {key: copy.deepcopy(value) for key, value in body.items() if key not in allowed}
    if body.get("messages") == []:
        return ["messages: at least one is needed"]
    for gap in gaps:
        _remove(body, gap.path.split("."))
    return problems_with(load(), body)


def problems_with(model: Any, body: dict[str, Any]) -> list[str]:
    """What an official model says against a body."""
    from pydantic import ValidationError

    try:
        parsed = model.model_validate(body)
    except ValidationError as problem:
        return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in problem.errors(include_url=False)]
    return list(_differences(body, parsed.model_dump(mode="json", by_alias=True, warnings=False), ""))


def _remove(value: Any, path: list[str]) -> None:
    key, *rest = path
    if key == "*":
        for item in value if isinstance(value, list) else ():
            _remove(item, rest)
    elif isinstance(value, dict) and key in value:
        if rest:
            _remove(value[key], rest)
        else:
            del value[key]


def _differences(sent: Any, written: Any, path: str) -> Iterator[str]:
    if isinstance(sent, dict) and isinstance(written, dict):
        if written.get("is_unknown") is True:  # how the SDK wraps a part of unknown type or of wrong shape
            yield f"{path}: the official models do not know {sent!r:.200}"
            return
        for key, value in sent.items():
            where = f"{path}.{key}".lstrip(".")
            if key in written:
                yield from _differences(value, written[key], where)
            else:
                yield f"{where}: the official models do not know this key, or not with the value {value!r:.80}"
    elif isinstance(sent, list) and isinstance(written, list) and len(sent) == len(written):
        for index, pair in enumerate(zip(sent, written, strict=True)):
            yield from _differences(*pair, f"{path}.{index}")
    elif sent != written or isinstance(sent, bool) != isinstance(written, bool):
        yield f"{path}: {sent!r:.80} has the wrong type"
