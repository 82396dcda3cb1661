"""How a stream ends: what is whole is a reply, what is not is an error that keeps what came."""

from __future__ import annotations

import pytest

from orchat.errors import (
    APIConnectionError,
    APIError,
    BadRequestError,
    InsufficientCreditsError,
    ProviderError,
    RateLimitError,
    StreamError,
)
from tests.generator.ways import Way
from tests.openrouter_server import (
    ERROR_SHAPES,
    GENERATION_ID,
    PROVIDER,
    USAGE_SHAPES,
    USER_ID,
    completion,
    debug,
    done,
    error,
    error_event,
    error_object,
    event,
    finish,
    fragment,
    reasoning,
    reply_json,
    stream,
    usage,
)


@pytest.mark.parametrize("shape", USAGE_SHAPES)
def test_usage_after_the_finish_reason_is_kept_in_each_shape(openrouter, generator, streaming: Way, shape) -> None:
    openrouter.answers(stream(event("Hi."), finish(), usage(shape=shape, cost=0.5), done()))
    reply = streaming(generator)
    assert reply.meta["usage"]["cost"] == 0.5
    assert reply.meta["finish_reason"] == "stop"
    assert [chunk.finish_reason for chunk in streaming.chunks] == [None, "stop", None]


def test_events_without_choices_carry_only_facts(openrouter, generator, streaming: Way) -> None:
    openrouter.allowed = {"debug"}
    openrouter.answers(stream(debug({"model": "m"}), event("a"), {"id": "gen-x"}, finish(), done()))
    assert streaming(generator).text == "a"


@pytest.mark.parametrize("ending", ["complete", "drop", "eof", "reset"])
def test_a_missing_done_is_no_failure(openrouter, generator, streaming: Way, ending) -> None:
    openrouter.answers(stream(event("Hi."), finish(), usage()).ending(ending))
    reply = streaming(generator)
    assert (reply.text, reply.meta["usage"]["cost"]) == ("Hi.", 0.00004)


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_connection_that_breaks_after_the_finish_reason_is_no_failure(
    openrouter, generator, streaming: Way, ending
) -> None:
    openrouter.answers(stream(event("Hi."), finish()).ending(ending))
    reply = streaming(generator)
    assert (reply.text, reply.meta["finish_reason"]) == ("Hi.", "stop")


def test_done_without_a_finish_reason_is_an_error_with_the_partial(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(stream(event("Hi."), usage(shape="null"), done()))
    with pytest.raises(StreamError, match="though it said") as caught:
        streaming(generator)
    assert (caught.value.partial.text, caught.value.partial.meta["usage"]["cost"]) == ("Hi.", 0.00004)


def test_a_reason_of_the_providers_own_is_one(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(stream(event("Hi."), finish(None, "STOP"), done()))
    assert streaming(generator).meta["native_finish_reason"] == "STOP"


def test_a_whole_reply_without_any_finish_reason_is_marked_and_told(openrouter, generator, way: Way, caplog) -> None:
    openrouter.answers(reply_json(completion("Hi.", finish_reason=None)))
    assert way(generator).meta["warnings"] == ["The endpoint gave no finish reason: the answer may be cut."]
    assert "no finish reason" in caplog.text


@pytest.mark.parametrize("said", [{}, {"reasoning": "Hm."}], ids=["nothing", "reasoning"])
def test_an_empty_reply_without_any_finish_reason_raises(openrouter, generator, way: Way, said) -> None:
    openrouter.answers(reply_json(completion("", finish_reason=None, **said)))
    with pytest.raises((ProviderError, StreamError)) as caught:
        way(generator)
    assert caught.value.partial.meta["usage"]["prompt_tokens"] == 14
    assert len(openrouter.requests) == 1


def test_a_finish_reason_that_nobody_knows_is_kept_as_it_came(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(stream(event("Hi."), finish("eos"), done()))
    assert streaming(generator).meta["finish_reason"] == "eos"
    assert streaming.chunks[-1].meta["finish_reason"] == "eos"


def test_a_stream_that_ends_without_a_reason_is_an_error_with_the_partial(openrouter, generator, streaming) -> None:
    openrouter.answers(stream(reasoning("Hm."), event("Hel"), event(None, tool_calls=[fragment("tide", "{", id="c1")])))
    with pytest.raises(StreamError, match="no finish reason") as caught:
        streaming(generator)
    partial = caught.value.partial
    assert (partial.text, partial.reasoning.reasoning_text) == ("Hel", "Hm.")
    assert partial.tool_calls[0].malformed_arguments == "{"
    assert (caught.value.generation_id, caught.value.provider_name) == (GENERATION_ID, PROVIDER)
    assert partial.meta["model"].startswith("vendor/")
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_connection_that_breaks_in_the_middle_is_an_error_with_the_partial(
    openrouter, make, streaming: Way, ending
) -> None:
    openrouter.answers(stream(event("Hel"), event("lo")).ending(ending))
    with pytest.raises(APIConnectionError, match="broke in the middle") as caught:
        streaming(make(max_retries=3))
    assert caught.value.partial.text == "Hello"
    assert caught.value.hint == "What came is in `.partial`; try again."
    assert caught.value.generation_id == GENERATION_ID
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_whole_reply_that_breaks_off_is_an_error_and_not_asked_for_again(
    openrouter, make, whole: Way, ending
) -> None:
    openrouter.answers(reply_json(completion("Hello")).first(60).ending(ending))
    with pytest.raises(APIConnectionError, match="broke in the middle") as caught:
        whole(make(max_retries=3))
    assert (caught.value.partial, caught.value.hint) == (None, "Try again.")
    assert caught.value.generation_id == GENERATION_ID
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize("shape", ERROR_SHAPES)
@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [(502, ProviderError, 502), (429, RateLimitError, 429), ("gone", ProviderError, None), (None, ProviderError, None)],
    ids=["502", "429", "str", "null"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["first", "only", "middle", "last"])
def test_an_error_event_raises_wherever_it_stands(
    openrouter, make, driver: Way, shape, code, kind, status, place
) -> None:
    event_of_error = error_event("Provider disconnected", code, {"error_type": "odd"}, shape=shape)
    items = {
        "first": [event_of_error, usage(), done()],
        "only": [event_of_error],
        "middle": [event("Hel"), event_of_error, event("lo"), finish(), done()],
        "last": [event("Hel"), finish(), event_of_error],
    }[place]
    openrouter.answers(stream(*items))
    with pytest.raises(kind, match="Provider disconnected") as caught:
        driver(make(max_retries=3))
    error = caught.value
    assert (error.code, error.status_code, error.error_type) == (code, status, "odd")
    assert (error.generation_id, error.provider_name) == (GENERATION_ID, PROVIDER)
    assert (error.partial.text if error.partial else None) == ("Hel" if place in {"middle", "last"} else None)
    assert len(openrouter.requests) == 1


def test_an_error_after_a_bare_finish_reason_raises(openrouter, generator, driver: Way) -> None:
    openrouter.answers(stream({"choices": [{"finish_reason": "stop"}]}, {"error": {"message": "Too late"}}))
    with pytest.raises(ProviderError, match="Too late"):
        driver(generator)


def test_a_finish_reason_of_error_raises_without_an_error_object(openrouter, generator, way: Way) -> None:
    if way.streams:
        openrouter.answers(stream(event("Hel"), finish("error", "upstream_reset"), done()))
    else:
        openrouter.answers(reply_json(completion("Hel", finish_reason="error", native_finish_reason="upstream_reset")))
    with pytest.raises(ProviderError, match="upstream_reset") as caught:
        way(generator)
    assert caught.value.partial.text == "Hel"


def test_an_error_inside_a_200_raises_when_nothing_streams(openrouter, make, way: Way) -> None:
    openrouter.answers(error(402, "Insufficient credits", status=200).headers({"X-Generation-Id": "gen-7"}))
    with pytest.raises(InsufficientCreditsError, match="Insufficient credits") as caught:
        way(make(max_retries=3))
    assert caught.value.generation_id == "gen-7"
    assert USER_ID not in str(caught.value) + repr(vars(caught.value))
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize("choices", [[], None])
def test_an_error_beside_empty_choices_raises(openrouter, generator, way: Way, choices) -> None:
    openrouter.answers(reply_json({"id": "gen-8", "choices": choices, "error": error_object("No luck", 400)}))
    with pytest.raises(BadRequestError, match="No luck") as caught:
        way(generator)
    assert caught.value.generation_id == "gen-8"


def test_an_error_of_a_choice_raises_with_what_the_choice_holds(openrouter, generator, way: Way) -> None:
    openrouter.answers(reply_json(completion("Hel", finish_reason="error", error=error_object("Gone", 502))))
    with pytest.raises(ProviderError, match="Gone") as caught:
        way(generator)
    assert caught.value.partial.text == "Hel"
    assert caught.value.status_code == 502


def test_the_message_of_a_failed_stream_is_the_partial(openrouter, generator, driver: Way) -> None:
    openrouter.answers(stream(event("Hel"), error_event()))
    with pytest.raises(APIError) as caught:
        driver(generator)
    assert driver.stream.message.text == caught.value.partial.text == "Hel"


def test_no_answer_is_asked_for_again_after_a_chunk(openrouter, make, streaming: Way) -> None:
    for code in (408, 429, 500, 503):
        openrouter.answers(stream(event("Hel"), error_event("Busy", code, {"retry_after_seconds": 0.01})))
        with pytest.raises(APIError):
            streaming(make(max_retries=5))
    assert len(openrouter.requests) == 4
