r"""Messages as a notebook's metadata holds them: texts as lists of lines, and calls named by their number.

So a notebook's differences show what was said, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NAME = re.compile(r"call ([1-9]\d{0,5})")


def encode_messages(messages: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    r"""Return messages in that form, and the identifiers of their calls by number.

    Parameters
    ----------
    messages
        As `orchat.chat.state.to_dict` makes them; what they hold besides ``content`` stays as it is.

    Examples
    --------
    >>> parts = [{"text": "a\nb"}, {"tool_call": {"id": "toolu_7", "extra": None}}]
    >>> encode_messages([{"role": "assistant", "content": parts}])
    ([{'role': 'assistant', 'content': [{'text': ['a\n', 'b']}, {'tool_call': {'id': 'call 1'}}]}], ['toolu_7'])
    """
    names: dict[str, str] = {}

    def named(call: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in call.items() if value is not None}
        if isinstance(call_id := call.get("id"), str):
            kept["id"] = names.setdefault(call_id, f"call {len(names) + 1}")
        return kept

    def part(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("text"), str):
            return {**data, "text": split_lines(data["text"])}
        if isinstance(call := data.get("tool_call"), dict):
            return {"tool_call": named(call)}
        if isinstance(result := data.get("tool_call_result"), dict):
            came = result["result"]
            came = split_lines(came) if isinstance(came, str) else [part(each) for each in came]
            return {"tool_call_result": {**result, "result": came, "origin": named(result["origin"])}}
        if isinstance(thought := data.get("reasoning"), dict) and isinstance(thought.get("reasoning_text"), str):
            return {"reasoning": {**thought, "reasoning_text": split_lines(thought["reasoning_text"])}}
        return data

    made = []
    for message in messages:
        content = message["content"]
        made.append({**message, "content": [part(each) for each in content] if isinstance(content, list) else content})
    return made, list(names)


def decode_messages(messages: Iterable[Any], ids: Sequence[str] = ()) -> list[Any]:
    r"""Return the messages of which `encode_messages` made these; what is of another form stays as it is.

    Parameters
    ----------
    messages
        Of anybody who may have written into a notebook.
    ids
        The identifiers of the calls by number; those without one keep their names.

    Examples
    --------
    >>> decode_messages([{"content": [{"text": ["a\n", "b"]}, {"tool_call": {"id": "call 1"}}, 7]}, None], ["toolu_7"])
    [{'content': [{'text': 'a\nb'}, {'tool_call': {'id': 'toolu_7'}}, 7]}, None]
    """

    def named(call: Any) -> Any:
        found = _NAME.fullmatch(call["id"]) if isinstance(call, Mapping) and isinstance(call.get("id"), str) else None
        return {**call, "id": ids[int(found[1]) - 1]} if found and int(found[1]) <= len(ids) else call

    def part(data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        for key in ("text", "reasoning_text", "result"):
            if _is_lines(filled.get(key)):
                filled[key] = "".join(filled[key])
        for key in ("tool_call_result", "reasoning"):
            if isinstance(filled.get(key), Mapping):
                filled[key] = part(filled[key])
        for key in ("tool_call", "origin"):
            if key in filled:
                filled[key] = named(filled[key])
        if isinstance(filled.get("result"), list):
            filled["result"] = [part(each) for each in filled["result"]]
        return filled

    filled = []
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        filled.append(
            {**message, "content": [part(each) for each in content]} if isinstance(content, list) else message
        )
    return filled


def _is_lines(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def split_lines(text: str) -> list[str]:
    """Return a text as its lines, which together are the text."""
    return re.findall(r"[^\n]*\n|[^\n]+", text) or [""]
