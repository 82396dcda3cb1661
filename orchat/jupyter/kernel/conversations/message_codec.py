r"""Encode messages for cell metadata: texts as lists of lines, call identifiers as numbers.

So a diff of two versions of a notebook shows changed lines of text, and no random identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_NAME = re.compile(r"call ([1-9]\d{0,5})")


def encode_messages(messages: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    r"""Return messages as encoded JSON, and the identifiers of their calls by number.

    Parameters
    ----------
    messages
        As `orchat.chat.state.to_dict` makes them; fields other than ``content`` stay as they are.

    Examples
    --------
    >>> parts = [{"text": "a\nb"}, {"tool_call": {"id": "toolu_7", "extra": None}}]
    >>> encode_messages([{"role": "assistant", "content": parts}])
    ([{'role': 'assistant', 'content': [{'text': ['a\n', 'b']}, {'tool_call': {'id': 'call 1'}}]}], ['toolu_7'])
    """
    names = CallNames()
    return [encode_message(message, names) for message in messages], list(names)


class CallNames(dict[str, str]):
    """The name of each call in a conversation, by its identifier; one that is new gets the next number.

    Examples
    --------
    >>> names = CallNames()
    >>> [names[call_id] for call_id in ("toolu_7", "toolu_9", "toolu_7")]
    ['call 1', 'call 2', 'call 1']
    """

    def __missing__(self, call_id: str) -> str:
        name = self[call_id] = f"call {len(self) + 1}"
        return name


def encode_message(message: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    r"""Return a message as encoded JSON, with these names of its calls.

    Examples
    --------
    >>> encode_message({"role": "user", "content": [{"text": "a\nb"}]}, CallNames())
    {'role': 'user', 'content': [{'text': ['a\n', 'b']}]}
    """

    def encode_call(call: Mapping[str, Any]) -> dict[str, Any]:
        encoded = {key: value for key, value in call.items() if value is not None}
        if isinstance(call_id := call.get("id"), str):
            encoded["id"] = names[call_id]
        return encoded

    def encode_part(data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("text"), str):
            return {**data, "text": split_lines(data["text"])}
        if isinstance(call := data.get("tool_call"), dict):
            return {"tool_call": encode_call(call)}
        if isinstance(result := data.get("tool_call_result"), dict):
            value = result["result"]
            value = split_lines(value) if isinstance(value, str) else [encode_part(each) for each in value]
            return {"tool_call_result": {**result, "result": value, "origin": encode_call(result["origin"])}}
        if isinstance(reasoning := data.get("reasoning"), dict) and isinstance(reasoning.get("reasoning_text"), str):
            return {"reasoning": {**reasoning, "reasoning_text": split_lines(reasoning["reasoning_text"])}}
        return data

    content = message["content"]
    parts = [encode_part(each) for each in content] if isinstance(content, list) else content
    return {**message, "content": parts}


def decode_messages(messages: Iterable[Any], ids: Sequence[str] = ()) -> list[Any]:
    r"""Return the messages that `encode_messages` encoded; values of another form stay as they are.

    Parameters
    ----------
    messages
        Untrusted data of a notebook file.
    ids
        The identifiers of the calls by number; a call with no identifier here keeps its encoded one.

    Examples
    --------
    >>> decode_messages([{"content": [{"text": ["a\n", "b"]}, {"tool_call": {"id": "call 1"}}, 7]}, None], ["toolu_7"])
    [{'content': [{'text': 'a\nb'}, {'tool_call': {'id': 'toolu_7'}}, 7]}, None]
    """

    def decode_call(call: Any) -> Any:
        found = _NAME.fullmatch(call["id"]) if isinstance(call, Mapping) and isinstance(call.get("id"), str) else None
        return {**call, "id": ids[int(found[1]) - 1]} if found and int(found[1]) <= len(ids) else call

    def decode_part(data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        decoded = dict(data)
        for key in ("text", "reasoning_text", "result"):
            if _is_lines(decoded.get(key)):
                decoded[key] = "".join(decoded[key])
        for key in ("tool_call_result", "reasoning"):
            if isinstance(decoded.get(key), Mapping):
                decoded[key] = decode_part(decoded[key])
        for key in ("tool_call", "origin"):
            if key in decoded:
                decoded[key] = decode_call(decoded[key])
        if isinstance(decoded.get("result"), list):
            decoded["result"] = [decode_part(each) for each in decoded["result"]]
        return decoded

    decoded = []
    for message in messages:
        content = message.get("content") if isinstance(message, Mapping) else None
        decoded.append(
            {**message, "content": [decode_part(each) for each in content]} if isinstance(content, list) else message
        )
    return decoded


def _is_lines(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def split_lines(text: str) -> list[str]:
    """Split a text after each newline; the joined lines are the text."""
    return re.findall(r"[^\n]*\n|[^\n]+", text) if "\n" in text else [text]


def join_lines(value: object) -> str:
    r"""Return a text of a notebook file, which may be a list of lines; an empty text for other values.

    Examples
    --------
    >>> join_lines(["a\n", "b"]), join_lines("a"), join_lines(None)
    ('a\nb', 'a', '')
    """
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
