"""Streams in the shapes of other servers: what each of them sends, and what is read of it.

litellm 1.108.7, fastchat 0.2.36, llama-cpp-python 0.3.36, mlflow 3.17.2, vllm 0.32.0, transformers 5.24.0 and
litserve 0.2.19 were run; llama.cpp and litserve are run by tests/servers.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.errors import ProviderError, StreamError
from orchat.messages import ChatMessage
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from tests.openrouter_server import completion
from tests.wire.reading import failure, read

DONE = "[DONE]"
COUNTS = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
NULLS = {"role": None, "content": None, "tool_calls": None}


def chunk(delta: dict[str, Any], finish: str | None = None, *, of_choice: Any = (), **fields: Any) -> dict[str, Any]:
    """One event: a delta, a finish reason (None where there is none yet), and the server's own fields."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **dict(of_choice)}
    return {
        "id": "c-7",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "smol",
        "choices": [choice],
        **fields,
    }


def finished(*events: Any) -> ChatMessage:
    """The message of a stream that is whole."""
    reading = read(*events)
    reading.reader.end()
    return reading.reader.fold.message()


def test_litellms_usage_comes_last_beside_a_choice_and_has_the_upstreams_cost() -> None:
    counts = COUNTS | {"cost": 0.00031, "completion_tokens_details": {"reasoning_tokens": 2}}
    events = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hull."}), chunk({}, "stop")]
    for event in events[:2]:
        del event["choices"][0]["finish_reason"]
    last = chunk({}, usage=counts)
    del last["choices"][0]["finish_reason"]
    reading = read(*events, last, DONE)
    reading.reader.end()
    assert (reading.message.text, reading.message.meta["usage"]) == ("Hull.", counts)
    assert reading.message.meta["finish_reason"] == "stop"
    assert [each.finish_reason for each in reading.chunks if each.finish_reason] == ["stop"]


def test_fastchats_error_in_the_middle_is_raised_with_what_came() -> None:
    error = failure(
        chunk({"role": "assistant"}),
        chunk({"content": "The tide"}),
        {"text": "**NETWORK ERROR** the worker is gone", "error_code": 50004},
        DONE,
    )
    assert isinstance(error, ProviderError)
    assert "the worker is gone" in error.message
    assert (error.code, error.partial.text if error.partial else None) == (50004, "The tide")


def test_llama_cpp_pythons_stream_that_another_request_ended_is_cut() -> None:
    role = chunk({"role": "assistant"}, of_choice={"logprobs": None})
    error = failure(role, chunk({"content": "It was"}, of_choice={"logprobs": None}), DONE)
    assert isinstance(error, StreamError)
    assert error.partial is not None
    assert error.partial.text == "It was"


@pytest.mark.parametrize("events", [(), (DONE,)], ids=["no event", "done"])
def test_a_stream_without_an_event_says_that_nothing_came(events: Any) -> None:
    error = failure(*events)
    assert isinstance(error, StreamError)
    assert "sent nothing at all" in error.message
    assert error.partial is None


def test_mlflows_gateway_pads_with_nulls_and_ends_without_done() -> None:
    own = {"usage": None, "provider": "openai"}
    message = finished(
        chunk(NULLS | {"role": "assistant", "content": ""}, **own),
        chunk(NULLS | {"content": "Hull."}, **own),
        chunk(NULLS, "stop", **own),
        chunk({}, **own) | {"choices": [], "usage": COUNTS},
    )
    assert (message.text, message.tool_calls, message.meta["usage"]) == ("Hull.", [], COUNTS)
    assert message.meta["provider"] == "openai"


def test_vllms_named_call_ends_with_stop_and_is_kept_as_it_came() -> None:
    own = {"of_choice": {"logprobs": None, "token_ids": None}}
    name = {"id": "chatcmpl-tool-9", "type": "function", "index": 0, "function": {"name": "tide"}}
    message = finished(
        chunk({"role": "assistant", "content": ""}, prompt_token_ids=None),
        chunk({"content": None, "tool_calls": [name]}, **own),
        chunk({"content": None, "tool_calls": [{"index": 0, "function": {"arguments": '"ty'}}]}, **own),
        chunk({"content": None, "tool_calls": [{"index": 0, "function": {"arguments": 'ne"'}}]}, **own),
        chunk({}, "stop", of_choice={"stop_reason": None}, system_fingerprint="vllm-0.32.0"),
        DONE,
    )
    [call] = message.tool_calls
    assert (call.id, call.tool_name, call.malformed_arguments) == ("chatcmpl-tool-9", "tide", '"tyne"')
    assert message.meta["finish_reason"] == "stop"


def test_llama_cpp_python_repeats_name_and_id_and_sends_each_piece_twice() -> None:
    def piece(arguments: str) -> dict[str, Any]:
        function = {"name": "tide", "arguments": arguments}
        call = {"index": 0, "id": "call__0_tide_cmpl-7", "type": "function", "function": function}
        return chunk({"role": None, "content": None, "function_call": function, "tool_calls": [call]})

    nothing = {"content": None, "function_call": None, "tool_calls": None}
    pieces = map(piece, ["{", '"port": ', '"Tyne"', "}"])
    message = finished(chunk(nothing | {"role": "assistant"}), *pieces, chunk(nothing, "tool_calls"), DONE)
    [call] = message.tool_calls
    assert (call.id, call.arguments) == ("call__0_tide_cmpl-7", {"port": "Tyne"})


def test_transformers_tells_the_usage_with_the_finish_and_no_done() -> None:
    events = [chunk({"role": "assistant"}), chunk({"content": "Hull"}, created=8), chunk({}, "length", usage=COUNTS)]
    for event in events[:2]:
        del event["choices"][0]["finish_reason"]
    message = finished(*events)
    assert (message.text, message.meta["finish_reason"], message.meta["usage"]) == ("Hull", "length", COUNTS)


def test_litserve_gives_each_chunk_an_id_and_ends_a_call_with_stop() -> None:
    call = {
        "index": 0,
        "id": "call_7",
        "type": "function",
        "function": {"name": "tide", "arguments": '{"port": "Tyne"}'},
    }
    nulls = NULLS | {"name": None, "tool_call_id": None}
    message = finished(
        chunk(nulls | {"role": "assistant", "content": "", "tool_calls": [call]}, id="c-1", usage=None),
        chunk(nulls, "stop", id="c-2", usage=dict.fromkeys(COUNTS, 0)),
        DONE,
    )
    assert [(each.tool_name, each.arguments) for each in message.tool_calls] == [("tide", {"port": "Tyne"})]
    assert message.meta["usage"] == dict.fromkeys(COUNTS, 0)


# -- cuts that leave a mark, whatever way the answer came -----------------------------------------------------------


@pytest.mark.parametrize("reason", ["abort", "repetition", "insufficient_system_resource", "max_tokens"])
def test_an_unusual_finish_reason_is_told(reason: str) -> None:
    streamed = finished(chunk({"content": "It was"}), chunk({}, reason), DONE)
    [whole] = read_replies(completion("It was", finish_reason=reason))
    for message in (streamed, whole):
        assert (message.text, message.meta["finish_reason"]) == ("It was", reason)
        assert message.meta["warnings"] == [f"The endpoint ended the answer with `{reason}`: it may be cut."]


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "length", "content_filter", "STOP", "end_turn", "eos_token"])
def test_a_usual_one_needs_no_words(reason: str) -> None:
    assert "warnings" not in finished(chunk({"content": "Hull."}), chunk({}, reason), DONE).meta


def test_the_reason_error_raises_with_what_came() -> None:
    error = failure(chunk({"content": "It was"}), chunk({}, "error"), DONE)
    assert isinstance(error, ProviderError)
    assert error.partial is not None
    assert error.partial.text == "It was"


# -- reasoning in LiteLLM's own fields ------------------------------------------------------------------------------


def test_reasoning_details_in_provider_specific_fields_go_back() -> None:
    details = [{"type": "reasoning.text", "text": "Hm.", "signature": "c2ln", "index": 0}]
    payload = completion("Two.")
    payload["choices"][0]["message"] |= {
        "reasoning_content": "Hm.",
        "provider_specific_fields": {"reasoning_details": details, "refusal": None},
    }
    [reply] = read_replies(payload)
    delta = {"content": "Two.", "reasoning_content": "Hm.", "provider_specific_fields": {"reasoning_details": details}}
    for message in (reply, finished(chunk(delta), chunk({}, "stop"))):
        assert message.reasoning is not None
        assert message.reasoning.reasoning_text == "Hm."
        assert message.to_openai_dict_format()["reasoning_details"] == details


def test_the_thinking_blocks_of_anthropics_models_go_back() -> None:
    whole = [
        {"type": "thinking", "thinking": "Hm. So.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZW5j"},
        {"type": "thinking", "thinking": "Two.", "signature": "Mg=="},
    ]
    payload = completion("Two.")
    payload["choices"][0]["message"] |= {"reasoning_content": "Hm. So.Two.", "thinking_blocks": whole}
    [reply] = read_replies(payload)
    pieces = [("Hm. ", ""), ("So.", None), ("", "c2ln"), None, ("Two.", ""), ("", "Mg==")]
    blocks = [{"type": "thinking", "thinking": p[0], "signature": p[1]} if p else whole[1] for p in pieces]
    deltas = [
        {"reasoning_content": block.get("thinking", ""), "thinking_blocks": [block], "content": ""} for block in blocks
    ]
    streamed = finished(*map(chunk, deltas), chunk({"content": "Two.", "thinking_blocks": None}), chunk({}, "stop"))
    for message in (reply, streamed, ChatMessage.from_dict(streamed.to_dict())):
        assert (message.text, message.reasoning and message.reasoning.reasoning_text) == ("Two.", "Hm. So.Two.")
        assert message.to_openai_dict_format() == {"role": "assistant", "content": "Two.", "thinking_blocks": whole}
        assert ChatMessage.from_openai_dict_format(message.to_openai_dict_format()).reasoning is not None
        assert "thinking_blocks" not in message.meta


def test_details_in_their_own_place_come_first() -> None:
    fields = {"reasoning_details": [{"type": "reasoning.text", "text": "b"}]}
    payload = completion("Two.")
    own = [{"type": "reasoning.text", "text": "a", "index": 0}]
    payload["choices"][0]["message"] |= {"reasoning_details": own, "provider_specific_fields": fields}
    [reply] = read_replies(payload)
    assert reply.reasoning is not None
    assert reply.reasoning.extra["reasoning_details"] == own


def test_a_cut_or_empty_answer_of_a_host_without_providers_speaks_of_none() -> None:
    url = "http://127.0.0.1:8080/v1/chat/completions"
    reader = ChunkReader(other_url=url)
    reader.read(json.dumps(chunk({"content": "It was"})))
    with pytest.raises(StreamError) as cut:
        reader.end()
    with pytest.raises(ProviderError) as empty:
        read_replies(completion("", finish_reason=None), other_url=url)
    assert (cut.value.hint, "try again." in str(empty.value)) == ("What came is in `.partial`; try again.", True)
    assert "another provider" not in f"{cut.value} {empty.value}"


def test_the_text_of_the_older_completions_api_is_the_answer() -> None:
    def of_text(text: str, finish: str | None = None) -> dict[str, Any]:
        choices = [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]
        return {"id": "cmpl-7", "object": "text_completion", "created": 7, "model": "smol", "choices": choices}

    message = finished(of_text("High"), of_text(" tide.", "stop"), DONE)
    [whole] = read_replies(of_text("High tide.", "stop"))
    for each in (message, whole):
        assert (each.text, each.meta["finish_reason"]) == ("High tide.", "stop")
        assert not {"text", "message", "warnings"} & set(each.meta)


def test_an_empty_answer_names_what_came_in_its_place() -> None:
    def with_output(finish: str | None, **fields: Any) -> dict[str, Any]:
        return {"model": "smol", "choices": [{"index": 0, "output": "High tide.", "finish_reason": finish, **fields}]}

    said = "The answer is empty: it came without a message, in fields that cannot be read (output)."
    assert finished(with_output(None), with_output("stop"), DONE).meta["warnings"] == [said]
    [whole] = read_replies(with_output("stop"))
    assert whole.meta["warnings"] == [said]
    # An empty answer that is one says nothing.
    assert "warnings" not in finished(with_output("stop", delta={"content": ""}), DONE).meta
    assert "warnings" not in finished(chunk({"content": "Hi"}), with_output("stop"), DONE).meta
