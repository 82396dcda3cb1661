"""Streams of text, facts and endings: events in, chunks and a message out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.errors import StreamError
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from orchat.streaming import ComponentInfo, StreamingChunk
from tests.openrouter_server import (
    GENERATION_ID,
    MODEL,
    PNG,
    PROVIDER,
    USAGE_SHAPES,
    annotation,
    audio,
    call,
    completion,
    debug,
    done,
    event,
    events_of,
    file_annotation,
    finish,
    image,
    reasoning,
    tool_call,
    url_citation,
    usage,
)
from tests.wire.reading import Reading, failure, lines, read


def test_a_reply_is_its_text_and_all_that_the_endpoint_said() -> None:
    chunks, message, reader = read(events_of("The Humber flows."))
    assert [chunk.content for chunk in chunks if chunk.content] == ["The", " Humber", " flows."]
    assert message.text == "The Humber flows."
    assert (message.meta["id"], message.meta["provider"], message.meta["model"]) == (GENERATION_ID, PROVIDER, MODEL)
    assert (message.meta["finish_reason"], message.meta["native_finish_reason"]) == ("stop", "stop")
    assert message.meta["usage"]["cost"] == 0.00004
    assert reader.done
    reader.end()


NOTHING = {
    "delta": [
        {"reasoning": None},
        {"reasoning": ""},
        {"reasoning_details": []},
        {"reasoning": None, "reasoning_details": [], "tool_calls": None, "refusal": None, "audio": None},
        {"tool_calls": []},
        {"function_call": None},
    ],
    "event": [{"error": None}, {"error": None, "message": "", "code": None}, {"user_id": "user_x"}, {"usage": None}],
}


@pytest.mark.parametrize(("of", "fields"), [(of, fields) for of, several in NOTHING.items() for fields in several])
def test_fields_that_hold_nothing_change_nothing_of_a_text(of: str, fields: dict[str, Any]) -> None:
    def streamed(more: dict[str, Any]) -> Reading:
        texts = [event(text) for text in ("The", " Humber", " flows.")]
        for each in texts:
            (each if of == "event" else each["choices"][0]["delta"]).update(more)
        return read(texts, finish(), usage(), done())

    def facts(chunk: StreamingChunk) -> Any:
        meta = {key: value for key, value in chunk.meta.items() if key not in fields or key == "usage"}
        return chunk.content, chunk.index, chunk.start, chunk.finish_reason, chunk.tool_calls, chunk.reasoning, meta

    plain, with_nothing = streamed({}), streamed(fields)
    assert [facts(chunk) for chunk in with_nothing.chunks] == [facts(chunk) for chunk in plain.chunks]
    assert with_nothing.message.to_openai_dict_format() == plain.message.to_openai_dict_format()
    assert with_nothing.message.meta | plain.message.meta == with_nothing.message.meta


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": "Hm."},
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]},
        {"refusal": "No."},
        {"images": image()["choices"][0]["delta"]["images"]},
        {"tool_calls": tool_call("tide", "{}", id="call_1")["choices"][0]["delta"]["tool_calls"]},
        {"annotations": [url_citation("https://example.org")]},
    ],
)
def test_fields_that_hold_something_beside_a_text_are_kept(fields: dict[str, Any]) -> None:
    both = event("The Humber.")
    both["choices"][0]["delta"].update(fields)
    message = read(both, finish()).message
    alone = event(None)
    alone["choices"][0]["delta"].update(fields)
    assert message.text == "The Humber."
    without = read(alone, finish()).message
    assert (message.reasoning, message.tool_calls, message.images) == (
        without.reasoning,
        without.tool_calls,
        without.images,
    )
    kept = [message.reasoning, message.tool_calls, message.images, *map(message.meta.get, ("annotations", "refusal"))]
    assert any(kept)
    assert [message.meta.get(name) for name in fields] == [without.meta.get(name) for name in fields]


def test_meta_begins_with_haystacks_keys_in_their_order() -> None:
    message = read(event("Hi"), finish(), usage()).message
    assert list(message.meta)[:5] == ["model", "index", "finish_reason", "completion_start_time", "usage"]


@pytest.mark.parametrize("shape", USAGE_SHAPES)
def test_usage_after_the_finish_reason_counts_in_each_shape(shape: Any) -> None:
    chunks, message, reader = read(event("Hi"), finish("stop"), usage(5, 7, shape=shape), done())
    assert message.meta["usage"]["total_tokens"] == 12
    assert message.meta["finish_reason"] == "stop"
    assert [chunk.finish_reason for chunk in chunks] == [None, "stop", None]
    reader.end()


def test_a_reply_whose_reason_came_stays_complete_when_a_null_follows() -> None:
    read(event("Hi"), finish("stop"), usage(shape="null")).reader.end()


def test_a_reason_given_twice_ends_the_reply_once() -> None:
    chunks = read(event("Hi"), finish("length"), usage(finish_reason="length")).chunks
    assert [chunk.finish_reason for chunk in chunks].count("length") == 1


def test_the_last_of_two_usages_counts() -> None:
    assert read(event("Hi"), usage(1, 1), usage(2, 2)).message.meta["usage"]["total_tokens"] == 4


def test_usage_without_cost_or_without_byok_is_kept_as_it_came() -> None:
    spent = {"prompt_tokens": 1, "server_tool_use": {"web_search_requests": 2}}
    assert read(event("Hi", usage=spent), finish()).message.meta["usage"] == spent


def test_a_cached_reply_with_no_usage_figures_is_no_error() -> None:
    message = read(event("Hi"), finish(), usage(0, 0, cost=0)).message
    assert (message.text, message.meta["usage"]["total_tokens"]) == ("Hi", 0)


def test_the_model_that_answered_is_the_replys_whatever_was_asked_for() -> None:
    assert read(event("Hi", model="other/fallback"), finish(model="other/fallback")).message.meta["model"] == (
        "other/fallback"
    )


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_known_finish_reasons_are_on_the_chunk_and_the_message(reason: str) -> None:
    chunks, message, _ = read(event("Hi"), finish(reason))
    assert (chunks[-1].finish_reason, message.meta["finish_reason"]) == (reason, reason)


@pytest.mark.parametrize(("word", "mapped"), [("function_call", "tool_calls"), ("eos", None), ("model_done", None)])
def test_other_finish_reasons_are_kept_raw_and_mapped_where_haystack_maps(word: str, mapped: str | None) -> None:
    chunks, message, reader = read(event("Hi"), finish(word))
    assert (chunks[-1].finish_reason, chunks[-1].meta["finish_reason"]) == (mapped, word)
    assert message.meta["finish_reason"] == word
    reader.end()


@pytest.mark.parametrize("blank", ["", None])
def test_done_alone_is_no_finish_reason(blank: str | None) -> None:
    error = failure(event("Hi"), finish(blank), done())
    assert isinstance(error, StreamError)
    assert error.partial is not None
    assert (error.partial.text, error.partial.meta["finish_reason"]) == ("Hi", None)


def test_an_end_without_done_is_complete_once_the_reason_came() -> None:
    reading = read(event("Hi"), finish("stop"))
    reading.reader.end()
    assert reading.reader.finished
    assert not reading.reader.done


def test_an_end_before_the_reason_is_an_error_that_keeps_the_text() -> None:
    error = failure(event("The "), event("Hum"))
    assert isinstance(error, StreamError)
    assert error.partial is not None
    assert error.partial.text == "The Hum"
    assert (error.generation_id, error.provider_name, error.retryable) == (GENERATION_ID, PROVIDER, False)


def test_a_stream_of_nothing_at_all_is_an_error() -> None:
    error = failure()
    assert isinstance(error, StreamError)
    assert error.partial is None


def test_empty_data_and_done_bring_no_chunk() -> None:
    reader = ChunkReader()
    assert reader.read("") == reader.read(" ") == []
    assert not reader.done
    assert reader.read("[DONE]") == []
    assert reader.done
    assert reader.read("") == []
    assert reader.done


@pytest.mark.parametrize("data", ["{", '{"choices": [', "hello", "[DONE", "[1", "\x00", '{"a": 01}'])
def test_a_line_that_is_no_json_is_an_error_that_keeps_the_text(data: str) -> None:
    error = failure(event("The "), data)
    assert isinstance(error, StreamError)
    assert error.partial is not None
    assert error.partial.text == "The "


@pytest.mark.parametrize("data", ["1", "null", "[]", '"text"', '{"choices": 5}', '{"choices": [null]}', "true"])
def test_json_that_is_no_event_is_an_error(data: str) -> None:
    assert isinstance(failure(data), StreamError)


@pytest.mark.parametrize("depth", [300, 600, 900, 100_000])
def test_an_event_nested_without_end_is_an_error(depth: int) -> None:
    assert isinstance(failure(f'{{"choices": [{{"delta": {{"x": {"[" * depth}{"]" * depth}}}}}]}}', "{"), StreamError)


def test_a_malformed_line_is_quoted_without_keys_and_account_ids() -> None:
    error = failure(
        '{"user_id": "user_2abcDEFghiJKLmnoPQRstuVWXyz", "k": "my-own-secret-key", ', secrets=("my-own-secret-key",)
    )
    assert "[redacted]" in str(error)
    assert "user_2abc" not in str(error)
    assert "my-own" not in str(error)


def test_the_role_may_come_with_each_delta_or_never() -> None:
    bare = {"choices": [{"delta": {"content": "b"}}]}
    assert read(event("a"), bare, finish()).message.text == "ab"


def test_null_and_missing_deltas_and_contents_are_no_text() -> None:
    chunks, message, _ = read(
        event(None), {"choices": [{"delta": None}]}, {"choices": [{}]}, {"choices": None}, {}, event("")
    )
    assert not any(chunk.content for chunk in chunks)
    assert message.text is None


def test_events_without_choices_are_kept_wherever_they_stand() -> None:
    metadata = {"choices": [], "openrouter_metadata": {"attempt": 2}}
    message = read(
        debug({"a": 1}), event("T"), metadata | {"id": "gen-1"}, event("he"), debug({"a": 2}), finish()
    ).message
    assert message.text == "The"
    assert message.meta["openrouter_metadata"] == {"attempt": 2}
    assert message.meta["debug"] == {"echo_upstream_body": {"a": 2}}


@pytest.mark.parametrize("char", ["\u2028", "\u2029", "\u0085", "\x7f", "🌊", "\ufeff"])
def test_characters_that_cut_lines_elsewhere_stay_in_the_text(char: str) -> None:
    data = json.dumps(event(f"a{char}b"), ensure_ascii=False)
    assert read(data, finish()).message.text == f"a{char}b"


def test_a_character_escaped_in_halves_over_two_events_is_whole_again() -> None:
    first = json.dumps(event("a@")).replace("@", "\\ud83c")
    second = json.dumps(event("@b")).replace("@", "\\udf0a")
    assert read(first, event(""), second, finish()).message.text == "a🌊b"


def test_half_a_character_alone_does_not_break_the_stream() -> None:
    chunks, message, _ = read(json.dumps(event("a@b")).replace("@", "\\udf0a"), finish())
    assert message.text == "a\ufffdb"
    json.dumps([chunk.to_dict() for chunk in chunks], ensure_ascii=False).encode()


def test_a_line_of_two_megabytes_is_read() -> None:
    text = "x" * 2_000_000
    assert read(event(text), finish()).message.text == text


def test_chunks_are_json() -> None:
    chunks = read(
        debug(), reasoning("a", signature="s"), event("b"), tool_call("t", "{}", id="c"), image(), finish(), usage()
    ).chunks
    for chunk in chunks:
        assert json.loads(json.dumps(chunk.to_dict())) == chunk.to_dict()


def test_chunks_know_who_made_them_and_when() -> None:
    info = ComponentInfo("orchat.Somebody")
    reader = ChunkReader(info)
    reader.received_at = "2026-01-01T00:00:00+00:00"
    [first] = reader.read(json.dumps(event("Hi")))
    reader.received_at = "2026-01-01T00:00:09+00:00"
    reader.read(json.dumps(finish()))
    assert (first.component_info, first.meta["received_at"]) == (info, "2026-01-01T00:00:00+00:00")
    assert reader.fold.message().meta["completion_start_time"] == "2026-01-01T00:00:00+00:00"
    assert "received_at" not in reader.fold.message().meta


def test_each_block_has_a_number_and_a_start() -> None:
    chunks = read(
        reasoning("a"),
        reasoning("b"),
        event("c"),
        event("d"),
        tool_call("t", "", id="1", index=0),
        tool_call(arguments="{}", index=0),
        tool_call("u", "{}", id="2", index=1),
        event("e"),
        finish(),
    ).chunks
    assert [(chunk.index, chunk.start) for chunk in chunks] == [
        (0, True),
        (0, False),
        (1, True),
        (1, False),
        (2, True),
        (2, False),
        (3, True),
        (4, True),
        (None, False),
    ]


def test_text_reasoning_and_calls_in_one_delta_become_a_chunk_each() -> None:
    both = reasoning("Hm")
    both["choices"][0]["delta"] |= {"content": "Hi", "tool_calls": [call("a", "{}"), call("b", "{}", id="call_2")]}
    both["choices"][0]["finish_reason"] = "tool_calls"
    both["usage"] = {"cost": 1}
    chunks, message, _ = read(both)
    assert len(chunks) == 4
    assert [chunk.finish_reason for chunk in chunks] == [None, None, None, "tool_calls"]
    assert [chunk.meta["usage"] for chunk in chunks] == [{"cost": 1}, None, None, None]
    assert (message.text, len(message.tool_calls)) == ("Hi", 2)
    assert message.reasoning is not None


def test_images_are_on_the_reply() -> None:
    message = read(event("Look"), image(), image("https://example.org/b.png"), finish()).message
    assert [part.url for part in message.images] == [None, "https://example.org/b.png"]
    assert message.images[0].mime_type == "image/png"
    assert message.images[0].base64_image == PNG.partition(",")[2]


@pytest.mark.parametrize("item", ["text", {"image_url": 5}, {"type": "x"}, None])
def test_an_image_that_cannot_be_read_is_kept_as_it_came(item: Any) -> None:
    message = read(event("a", images=[item]), finish()).message
    assert message.meta["images"] == [item]
    assert message.images == []


def test_images_that_are_no_list_are_kept_as_they_came() -> None:
    odd = event("a")
    odd["choices"][0]["delta"]["images"] = 7
    assert read(odd, finish()).message.meta["images"] == 7


def test_an_image_whose_data_url_is_odd_is_an_image_by_address() -> None:
    assert read(image("data:image/svg+xml,<svg/>"), finish()).message.images[0].url == "data:image/svg+xml,<svg/>"


def test_annotations_of_each_chunk_add_up() -> None:
    message = read(annotation(), annotation(file_annotation()), event("Hi"), finish()).message
    assert message.meta["annotations"] == [url_citation(), file_annotation()]


def test_a_refusal_in_pieces_is_whole_on_the_reply() -> None:
    message = read(event(None, refusal="I ca"), event(None, refusal="nnot."), finish()).message
    assert (message.meta["refusal"], message.text) == ("I cannot.", None)


def test_speech_in_pieces_is_one_sound() -> None:
    message = read(audio("UklG"), audio(transcript="Hel"), audio("Rg==", transcript="lo"), finish()).message
    assert message.audio is not None
    assert (message.audio.base64_audio, message.audio.transcript) == ("UklGRg==", "Hello")
    assert message.audio.meta == {"id": "audio_1"}


def test_speech_in_pieces_that_were_padded_one_by_one_is_joined_as_bytes() -> None:
    message = read(audio("UQ=="), audio("Ug=="), finish()).message
    assert message.audio is not None
    assert message.audio.base64_audio == "UVI="


def test_speech_that_is_no_base64_is_joined_as_text() -> None:
    message = read(audio("U="), audio("Ug=="), finish()).message
    assert message.audio is not None
    assert message.audio.base64_audio == "U=Ug=="


def test_a_sound_without_data_is_kept_as_it_came() -> None:
    message = read(audio(transcript="Hi"), finish()).message
    assert (message.audio, message.meta["audio"]["transcript"]) == (None, "Hi")


def test_logprobs_of_each_chunk_are_listed() -> None:
    message = read(event("a", logprobs={"content": [1]}), event("b", logprobs={"content": [2]}), finish()).message
    assert message.meta["logprobs"] == [{"content": [1]}, {"content": [2]}]


def test_unknown_fields_of_event_choice_and_delta_are_kept() -> None:
    odd = event("Hi", service_tier="flex", new_field={"a": 1})
    odd["choices"][0]["delta"] |= {"citations": ["https://example.org"]}
    rated = event("!")
    rated["choices"][0] |= {"content_filter_results": {"hate": "safe"}}
    message = read(odd, rated, event("?"), finish()).message
    assert message.text == "Hi!?"
    assert message.meta["service_tier"] == "flex"
    assert message.meta["new_field"] == {"a": 1}
    assert message.meta["content_filter_results"] == {"hate": "safe"}
    assert message.meta["citations"] == ["https://example.org"]


def test_what_a_delta_says_of_itself_never_replaces_what_the_endpoint_says_of_the_reply() -> None:
    odd = event("Hi")
    odd["choices"][0]["delta"] |= {"id": "forged", "model": "forged", "finish_reason": "forged"}
    message = read(odd, finish(), usage()).message
    assert (message.meta["id"], message.meta["model"], message.meta["finish_reason"]) == (GENERATION_ID, MODEL, "stop")


def test_a_reply_that_comes_whole_though_a_stream_was_asked_for_is_read() -> None:
    chunks, message, reader = read(completion("Hi", tool_calls=[call("tide", {"a": 1})], finish_reason="tool_calls"))
    assert (message.text, message.tool_calls[0].arguments) == ("Hi", {"a": 1})
    assert message.meta["usage"]["total_tokens"] == 17
    assert chunks[-1].finish_reason == "tool_calls"
    reader.end()


def test_an_event_is_rewritten_before_it_is_read() -> None:
    def shout(event: dict[str, Any]) -> dict[str, Any]:
        event["choices"][0]["delta"]["content"] = event["choices"][0]["delta"]["content"].upper()
        return event

    reader = ChunkReader(rewrite=shout)
    for data in lines(event("hi"), finish()):
        reader.read(data)
    assert reader.fold.message().text == "HI"


def test_finish_reasons_before_the_providers_own_do_not_end_an_answer() -> None:
    early = [tool_call("tide", "{}", id=f"c{n}", index=n, finish_reason="tool_calls") for n in range(3)]
    for item in early:
        item["choices"][0]["native_finish_reason"] = None
    reader = ChunkReader()
    chunks = [chunk for data in lines(early) for chunk in reader.read(data)]
    assert not reader.finished
    assert [chunk.finish_reason for chunk in chunks] == [None] * 3
    with pytest.raises(StreamError, match="no finish reason that is the last") as caught:
        reader.end()
    assert caught.value.partial is not None
    assert len(caught.value.partial.tool_calls) == 3
    [last] = reader.read(json.dumps(finish("stop", "STOP")))
    assert reader.finished
    assert last.finish_reason == "stop"
    reader.end()


@pytest.mark.parametrize("end", [usage(shape="empty"), usage(shape="null"), usage(), done()])
def test_usage_or_done_end_an_answer_whose_provider_gives_no_reason_of_its_own(end: Any) -> None:
    chunks, _, reader = read(event("Hi"), finish("stop", None), end)
    assert reader.finished
    reader.end()
    assert [chunk.finish_reason for chunk in chunks].count("stop") == (0 if isinstance(end, str | bytes) else 1)


def test_usage_that_comes_with_every_event_ends_nothing() -> None:
    counted = {"usage": {"completion_tokens": 1}}
    _, _, reader = read(event("Hi", **counted), finish("tool_calls", None, **counted))
    assert not reader.finished


def test_a_reason_beside_a_call_is_the_last_where_no_other_follows() -> None:
    item = tool_call("tide", "{}", id="a", finish_reason="tool_calls")
    del item["choices"][0]["native_finish_reason"]
    reader = read(item).reader
    assert not reader.finished
    reader.end()


@pytest.mark.parametrize("index", [0, 1])
def test_an_image_that_comes_again_is_one(index: int) -> None:
    chunks, message, _ = read(image(PNG), event("x"), image(PNG, index=index), finish())
    assert len(message.images) == 1
    [reply] = read_replies(
        completion("x", images=[item for c in chunks for item in c.meta.get("extras", {}).get("images", ())])
    )
    assert len(reply.images) == 1


def test_annotations_that_grow_are_each_there_once() -> None:
    first, second = url_citation("https://a.example"), url_citation("https://b.example")
    message = read(
        annotation(first), event("x", annotations=[first, second]), annotation(file_annotation()), finish()
    ).message
    assert message.meta["annotations"] == [first, second, file_annotation()]


def test_zeros_in_a_last_usage_do_not_replace_what_was_counted() -> None:
    counted = {"prompt_tokens": 100, "completion_tokens": 10, "cost": 0.001, "details": {"cached": 4}}
    zeros = {"prompt_tokens": 0, "completion_tokens": 12, "cost": 0, "details": {"cached": 0, "audio": 1}}
    message = read(
        event("Hi", usage=counted), finish(), {"choices": [], "usage": zeros}, {"choices": [], "usage": {}}
    ).message
    assert message.meta["usage"] == {**counted, "completion_tokens": 12, "details": {"cached": 4, "audio": 1}}


def test_logprobs_that_are_a_bare_number_are_kept() -> None:
    message = read(event("Hi", logprobs=-1.788e-06), finish()).message
    assert (message.text, message.meta["logprobs"]) == ("Hi", [-1.788e-06])
    [reply] = read_replies(completion("Hi", logprobs=-1.788e-06))
    assert reply.meta["logprobs"] == -1.788e-06
