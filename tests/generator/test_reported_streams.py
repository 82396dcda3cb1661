"""Streams of the shapes that real endpoints and public bug reports showed: what is right, to the last field.

Each is played through the whole client, in both ways that stream. `said` is all that an answer may say: what a case
does not name must not be there.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.errors import APIConnectionError, APIError, BadRequestError, ProviderError, RateLimitError, StreamError
from orchat.messages import ChatMessage
from tests.generator.ways import Way
from tests.openrouter_server import PNG, ScriptedOpenRouter, raw

HULL = {"port": "Hull"}


def part(delta: dict[str, Any], reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """An event with one choice, as small as they come."""
    return {
        "id": "gen-7",
        "model": "vendor/m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    } | fields


def words(text: str, reason: str | None = None, **fields: Any) -> dict[str, Any]:
    return part({"content": text}, reason, **fields)


def piece(
    index: int | None = 0, *, name: str | None = None, arguments: str | None = None, **fields: Any
) -> dict[str, Any]:
    """A fragment of a tool call."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    place = {} if index is None else {"index": index}
    return {**place, **fields, "function": function}


def called(*fragments: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    return part({"tool_calls": list(fragments)}, reason)


def body(*events: Any) -> bytes:
    """Events as the bytes of a stream; a text goes out as the data that it is."""
    return "".join(f"data: {each if isinstance(each, str) else json.dumps(each)}\n\n" for each in events).encode()


def said(message: ChatMessage) -> dict[str, Any]:
    """All that an answer says."""
    meta = message.meta
    found = {
        "text": message.text,
        "thought": message.reasoning.reasoning_text if message.reasoning else None,
        "details": message.reasoning.extra.get("reasoning_details") if message.reasoning else None,
        "calls": [(call.tool_name, call.arguments) for call in message.tool_calls],
        "malformed": [call.malformed_arguments for call in message.tool_calls if call.malformed_arguments],
        "images": [image.base64_image or image.url for image in message.images],
        "pages": [note["url_citation"]["url"] for note in meta.get("annotations", ())],
        "refusal": meta.get("refusal"),
        "usage": meta.get("usage"),
        "warnings": meta.get("warnings"),
    }
    return {name: value for name, value in found.items() if value not in (None, [], {})}


STOP, CALLS, DONE = part({}, "stop"), part({}, "tool_calls"), "[DONE]"
COUNTED = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cost": 0.001}
ZEROS = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
IMAGE = {"type": "image_url", "image_url": {"url": PNG}}
BASE64 = PNG.partition(",")[2]
MENDED = ["The arguments for `tide` were no JSON object, and were mended."]
TIDE = {"calls": [("tide", HULL)]}


def page(url: str, title: str = "Tides") -> dict[str, Any]:
    return {"type": "url_citation", "url_citation": {"url": url, "title": title}}


def tide(arguments: str, **fields: Any) -> dict[str, Any]:
    return called(piece(name="tide", arguments=arguments, id="c1", **fields))


ANSWERS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    # the id of a call changes between its fragments
    "two ids": (
        [
            called(piece(name="tide", arguments="", id="a-1", type="function")),
            called(piece(arguments='{"port":', id="b-9")),
            called(piece(arguments=' "Hull"}', id="b-9")),
            CALLS,
            DONE,
        ],
        TIDE,
    ),
    "an id for each fragment": (
        [
            called(piece(name="tide", arguments='{"po', id="a")),
            called(piece(arguments='rt": "Hu', id="b")),
            called(piece(arguments='ll"}', id="c")),
            CALLS,
            DONE,
        ],
        TIDE,
    ),
    "an id that comes late": (
        [called(piece(name="tide", arguments='{"port":')), called(piece(arguments=' "Hull"}', id="late")), CALLS, DONE],
        TIDE,
    ),
    "two calls whose ids change": (
        [
            called(piece(0, name="tide", arguments="", id="a")),
            called(piece(0, arguments='{"port": "Hull"}', id="x")),
            called(piece(1, name="depth", arguments="", id="b")),
            called(piece(1, arguments='{"m": 7}', id="y")),
            CALLS,
            DONE,
        ],
        {"calls": [("tide", HULL), ("depth", {"m": 7})]},
    ),
    # calls without a name
    "a ghost": (
        [tide('{"port":"Hull"}'), called(piece(1, name="", arguments="", id=""), reason="tool_calls"), DONE],
        TIDE,
    ),
    "a ghost of nulls": (
        [
            tide('{"port":"Hull"}'),
            called({"index": 1, "id": None, "function": {"name": None, "arguments": None}}),
            CALLS,
            DONE,
        ],
        TIDE,
    ),
    "a ghost before": ([called(piece(1, name="", arguments="", id="")), tide('{"port":"Hull"}'), CALLS, DONE], TIDE),
    "a blank type": ([tide('{"port":"Hull"}', type=""), CALLS, DONE], TIDE),
    # names that no provider takes are kept as they came
    "a name with a dot": (
        [called(piece(name="multi_tool_use.parallel", arguments='{"tool_uses":[]}', id="c1")), CALLS, DONE],
        {"calls": [("multi_tool_use.parallel", {"tool_uses": []})]},
    ),
    "no name": ([called(piece(name="", arguments="{}", id="c1")), CALLS, DONE], {"calls": [("", {})]}),
    "a name with a marker": (
        [called(piece(name="tide<|channel|>commentary", arguments="{}", id="c1")), CALLS, DONE],
        {"calls": [("tide<|channel|>commentary", {})]},
    ),
    # refusals
    "a refusal in pieces": (
        [part({"refusal": "I cannot "}), part({"refusal": "help."}), STOP, DONE],
        {"refusal": "I cannot help.", "warnings": ["The model refused: I cannot help."]},
    ),
    "a refusal after text": (
        [words("Well. "), part({"content": None, "refusal": "No."}), STOP, DONE],
        {"text": "Well. ", "refusal": "No.", "warnings": ["The model refused: No."]},
    ),
    "no refusal": ([part({"content": "Hi", "refusal": None}), part({"refusal": ""}, "stop"), DONE], {"text": "Hi"}),
    # arguments
    "null": ([called(piece(name="now", arguments="null", id="c1")), CALLS, DONE], {"calls": [("now", {})]}),
    "null and blanks": (
        [called(piece(name="now", arguments=" null\n", id="c1")), CALLS, DONE],
        {"calls": [("now", {})]},
    ),
    "no arguments": ([called(piece(name="now", id="c1")), CALLS, DONE], {"calls": [("now", {})]}),
    "an object first": (
        [tide("{}"), called(piece(arguments='{"port":"Hull"}')), CALLS, DONE],
        TIDE | {"warnings": MENDED},
    ),
    "a trailing marker": ([tide('{"port":"Hull"}</tool_call>'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "another marker": ([tide('{"port":"Hull"}<|im_end|>'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "in a fence": ([tide('```json\n{"port":"Hull"}\n```'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "in a fence of tildes": ([tide('~~~\n{"port":"Hull"}\n~~~'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "encoded twice": ([tide('"{\\"port\\":\\"Hull\\"}"'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "said twice": ([tide('{"port":"Hull"}{"port":"Hull"}'), CALLS, DONE], TIDE | {"warnings": MENDED}),
    "two objects": (
        [tide('{"port":"Hull"}{"port":"Goole"}'), CALLS, DONE],
        {"calls": [("tide", {})], "malformed": ['{"port":"Hull"}{"port":"Goole"}']},
    ),
    "cut": ([tide('{"port":"Hu'), CALLS, DONE], {"calls": [("tide", {})], "malformed": ['{"port":"Hu']}),
    # parts that come again
    "an image twice": (
        [part({"images": [IMAGE | {"index": 0}]}), part({"images": [IMAGE | {"index": 0}]}), STOP, DONE],
        {"images": [BASE64]},
    ),
    "an image with another number": (
        [part({"images": [IMAGE | {"index": 0}]}), part({"images": [IMAGE | {"index": 1}]}), STOP, DONE],
        {"images": [BASE64]},
    ),
    "citations that grow": (
        [
            part({"content": "x", "annotations": [page("u1")]}),
            part({"content": "y", "annotations": [page("u1"), page("u2")]}),
            STOP,
            DONE,
        ],
        {"text": "xy", "pages": ["u1", "u2"]},
    ),
    "a page under two titles": (
        [part({"annotations": [page("u1")]}), part({"annotations": [page("u1", "Other")]}), words("x", "stop"), DONE],
        {"text": "x", "pages": ["u1", "u1"]},
    ),
    # no error
    "error null beside an empty message": ([words("Hi", "stop", error=None, message=""), DONE], {"text": "Hi"}),
    "errors empty": ([words("Hi", "stop", errors=[], error={}), DONE], {"text": "Hi"}),
    "a code of success": ([words("Hi", "stop", code=0, msg="ok"), DONE], {"text": "Hi"}),
    "base_resp of success": (
        [words("Hi", "stop", base_resp={"status_code": 0, "status_msg": "success"}), DONE],
        {"text": "Hi"},
    ),
    # after the end
    "[done]": ([words("Hi", "stop"), "[done]"], {"text": "Hi"}),
    "DONE": ([words("Hi", "stop"), "DONE"], {"text": "Hi"}),
    "html": ([words("Hi", "stop"), "<html>", DONE], {"text": "Hi"}),
    "null after the end": ([words("Hi", "stop"), "null", DONE], {"text": "Hi"}),
    "DONE as JSON": ([words("Hi", "stop"), '"[DONE]"'], {"text": "Hi"}),
    "nothing after the end": ([words("Hi", "stop")], {"text": "Hi"}),
    "usage after junk": (
        [words("Hi", "stop"), "<html>", {"choices": [], "usage": COUNTED}, DONE],
        {"text": "Hi", "usage": COUNTED},
    ),
    # usage
    "zeros last": (
        [words("Hi", usage=COUNTED), STOP, {"choices": [], "usage": ZEROS}, DONE],
        {"text": "Hi", "usage": COUNTED},
    ),
    "null last": (
        [words("Hi", usage=COUNTED), STOP, {"choices": [], "usage": None}, DONE],
        {"text": "Hi", "usage": COUNTED},
    ),
    "a later count": (
        [words("Hi", usage=COUNTED | {"completion_tokens": 1}), STOP, {"choices": [], "usage": COUNTED}, DONE],
        {"text": "Hi", "usage": COUNTED},
    ),
    "usage with the text": ([words("Hi", "stop", usage=COUNTED), DONE], {"text": "Hi", "usage": COUNTED}),
    # fields of another kind
    "reasoning as an object": (
        [part({"content": "Hi", "reasoning": {"content": "think"}}, "stop"), DONE],
        {"text": "Hi", "thought": "think"},
    ),
    "reasoning as a list": (
        [part({"reasoning": [{"text": "thi"}, "nk"]}), words("Hi", "stop"), DONE],
        {"text": "Hi", "thought": "think"},
    ),
    "calls as an object": (
        [
            part(
                {"tool_calls": {"id": "c1", "function": {"name": "tide", "arguments": '{"port":"Hull"}'}}}, "tool_calls"
            ),
            DONE,
        ],
        TIDE,
    ),
    "calls by their numbers": (
        [
            part({"tool_calls": {"0": {"id": "c1", "function": {"name": "tide", "arguments": '{"port":"Hull"}'}}}}),
            CALLS,
            DONE,
        ],
        TIDE,
    ),
    "arguments as an object": (
        [called({"index": 0, "id": "c1", "function": {"name": "tide", "arguments": HULL}}), CALLS, DONE],
        TIDE,
    ),
    "content in parts": (
        [part({"content": [{"type": "text", "text": "Hi"}]}), words(" you", "stop"), DONE],
        {"text": "Hi you"},
    ),
    "logprobs as a number": (
        [
            {
                "id": "gen-7",
                "choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None, "logprobs": -1.7e-6}],
            },
            STOP,
            DONE,
        ],
        {"text": "Hi"},
    ),
    # signatures of reasoning
    "an empty signature first": (
        [
            part(
                {
                    "reasoning": "",
                    "reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "", "index": 0}],
                }
            ),
            part(
                {"reasoning": "Think.", "reasoning_details": [{"type": "reasoning.text", "text": "Think.", "index": 0}]}
            ),
            part({"reasoning_details": [{"type": "reasoning.text", "signature": "c2lnbmVk", "index": 0}]}),
            words("Hi", "stop"),
            DONE,
        ],
        {
            "text": "Hi",
            "thought": "Think.",
            "details": [{"type": "reasoning.text", "text": "Think.", "index": 0, "signature": "c2lnbmVk"}],
        },
    ),
    "a signature in pieces": (
        [
            part({"reasoning_details": [{"type": "reasoning.text", "text": "Think.", "index": 0}]}),
            part({"reasoning_details": [{"type": "reasoning.text", "signature": "c2ln", "index": 0}]}),
            part({"reasoning_details": [{"type": "reasoning.text", "signature": "bmVk", "index": 0}]}),
            words("Hi", "stop"),
            DONE,
        ],
        {
            "text": "Hi",
            "thought": "Think.",
            "details": [{"type": "reasoning.text", "text": "Think.", "index": 0, "signature": "c2lnbmVk"}],
        },
    ),
    # a finish reason with each call, the last one at the end
    "a reason with each call": (
        [
            called(piece(0, name="tide", arguments='{"port":"Hull"}', id="t_1"), reason="tool_calls"),
            called(piece(0, name="depth", arguments="{}", id="t_2"), reason="tool_calls"),
            words("", "stop"),
            DONE,
        ],
        {"calls": [("tide", HULL), ("depth", {})]},
    ),
}

FAILURES: dict[str, tuple[list[Any], type[APIError], str, dict[str, Any] | None]] = {
    "object error, after text": (
        [
            words("The tide is"),
            {"object": "error", "message": "KV cache exhausted", "type": "InternalServerError", "code": 500},
            DONE,
        ],
        ProviderError,
        "KV cache exhausted",
        {"text": "The tide is"},
    ),
    "error_type and error_message": (
        [
            {"id": "x", "choices": None, "error_type": "BadRequestError", "error_message": "context length exceeded"},
            DONE,
        ],
        BadRequestError,
        "context length exceeded",
        None,
    ),
    "type error": ([{"type": "error", "message": "overloaded"}, DONE], ProviderError, "overloaded", None),
    "base_resp": (
        [{"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, DONE],
        ProviderError,
        "insufficient balance",
        None,
    ),
    "errors list": (
        [{"errors": [{"message": "capacity", "code": 3040}], "success": False}, DONE],
        ProviderError,
        "capacity",
        None,
    ),
    "detail": (
        [words("The"), {"detail": "no capacity left"}, DONE],
        ProviderError,
        "no capacity left",
        {"text": "The"},
    ),
    "code and msg": ([{"code": 1302, "msg": "too many requests"}, DONE], APIError, "too many requests", None),
    "a code as text": (
        [words("The"), {"error": {"code": "429", "message": "slow down"}}, DONE],
        RateLimitError,
        "slow down",
        {"text": "The"},
    ),
    "text and error_code": (
        [words("The"), {"text": "NETWORK ERROR", "error_code": 50001}, DONE],
        ProviderError,
        "NETWORK ERROR",
        {"text": "The"},
    ),
    "an error with calls and its usage after it": (
        [
            called(piece(name="tide", arguments='{"port":"Hull"}', id="t_1"), reason="tool_calls"),
            part(
                {"content": ""},
                "stop",
                error={
                    "message": "Provider returned error",
                    "code": 502,
                    "metadata": {"raw": "Malformed function call"},
                },
            ),
            words("", usage=COUNTED),
            DONE,
        ],
        ProviderError,
        "Malformed function call",
        TIDE | {"usage": COUNTED},
    ),
    "cut without a reason": ([words("The tide is"), DONE], StreamError, "no finish reason", {"text": "The tide is"}),
    "cut without DONE": ([words("The tide is")], StreamError, "no finish reason", {"text": "The tide is"}),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_says_all_that_came_and_nothing_else(
    openrouter: ScriptedOpenRouter, generator: Any, driver: Way, case: str
) -> None:
    events, expected = ANSWERS[case]
    openrouter.answers(raw(body(*events), content_type="text/event-stream"))
    assert said(driver(generator)) == expected


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_raises_in_the_upstreams_words_with_what_came(
    openrouter: ScriptedOpenRouter, generator: Any, driver: Way, case: str
) -> None:
    events, kind, told, partial = FAILURES[case]
    openrouter.answers(raw(body(*events), content_type="text/event-stream"))
    with pytest.raises(kind) as caught:
        driver(generator)
    assert told in caught.value.message
    assert (said(caught.value.partial) if caught.value.partial is not None else None) == partial


def test_a_connection_that_breaks_after_the_first_call_is_no_whole_answer(
    openrouter: ScriptedOpenRouter, generator: Any, driver: Way
) -> None:
    event = called(piece(name="tide", arguments='{"port":"Hull"}', id="t_1"))
    event["choices"][0] |= {"finish_reason": "tool_calls", "native_finish_reason": None}
    openrouter.answers(raw(body(event), content_type="text/event-stream").ending("reset"))
    with pytest.raises((APIConnectionError, StreamError)) as caught:
        driver(generator)
    assert said(caught.value.partial) == TIDE
