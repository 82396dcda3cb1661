"""What is asked for again and what is not, counted by the server that was asked."""

from __future__ import annotations

import re
import socket
import threading
import time
from email.utils import formatdate

import pytest

from orchat import errors
from orchat.errors import APIConnectionError, APIError, APITimeoutError, ConfigurationError, RateLimitError
from tests.generator.ways import Way
from tests.openrouter_server import USER_ID, Answer, done, error, event, finish, raw, reply_json, stream, text, wire
from tests.patience import stretched, wait_until

SOON = {"Retry-After": "0.01"}
KINDS = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.InsufficientCreditsError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    408: errors.ProviderError,
    409: errors.APIError,
    410: errors.NotFoundError,
    412: errors.APIError,
    413: errors.BadRequestError,
    422: errors.BadRequestError,
    429: errors.RateLimitError,
    499: errors.APIError,
    500: errors.ProviderError,
    502: errors.ProviderError,
    503: errors.ProviderError,
    504: errors.ProviderError,
    524: errors.ProviderError,
    529: errors.ProviderError,
}
RETRIED = {408, 409, 429, 500, 502, 503, 504, 524, 529}


def attempts(openrouter, way: Way, generator, *answers: Answer) -> tuple[int, APIError]:
    """Ask, expect a failure, and return how many requests it took and the error."""
    openrouter.answers(*answers)
    with pytest.raises(APIError) as caught:
        way(generator)
    return len(openrouter.requests), caught.value


@pytest.mark.parametrize("status", KINDS)
def test_a_status_has_its_class_its_words_and_its_retries(openrouter, make, driver: Way, status: int) -> None:
    metadata = {"raw": '{"error": {"message": "the cause"}}', "provider_name": "SomeProvider"}
    openrouter.always(error(status, metadata=metadata, headers=SOON | {"X-Generation-Id": "gen-3"}))
    count, failure = attempts(openrouter, driver, make(max_retries=2))
    assert count == (3 if status in RETRIED else 1)
    assert type(failure) is KINDS[status]
    assert (failure.status_code, failure.code, failure.generation_id) == (status, status, "gen-3")
    for words in (f"HTTP {status}", "Provider returned error", "the cause", "SomeProvider", failure.hint):
        assert words in str(failure)
    assert USER_ID not in str(failure) + repr(vars(failure))


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_a_request_that_was_refused_for_now_is_sent_again_and_succeeds(openrouter, make, driver: Way, status) -> None:
    openrouter.answers(error(status, headers=SOON), error(status, headers=SOON), text("At last."))
    assert driver(make(max_retries=2)).text == "At last."
    assert len({request.body for request in openrouter.requests}) == 1
    assert len(openrouter.requests) == 3
    assert openrouter.connections == 1


@pytest.mark.parametrize("retries", [0, 1, 4])
def test_max_retries_counts_the_requests_after_the_first(openrouter, make, driver: Way, retries: int) -> None:
    openrouter.always(error(503, headers=SOON))
    assert attempts(openrouter, driver, make(max_retries=retries))[0] == retries + 1


def test_max_retries_may_come_from_the_environment_and_is_five_otherwise(
    openrouter, make, driver: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    openrouter.always(error(503, headers=SOON))
    assert attempts(openrouter, driver, make(max_retries=None))[0] == 6
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "1")
    assert attempts(openrouter, driver, make(max_retries=None))[0] == 6 + 2
    assert attempts(openrouter, driver, make(max_retries=0))[0] == 6 + 2 + 1


@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_senseless_max_retries_in_the_environment_are_a_value_error(
    make, driver: Way, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("OPENAI_MAX_RETRIES", value)
    with pytest.raises(ConfigurationError, match="number"):
        driver(make(max_retries=None))


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0.3"},
        {"Retry-After-Ms": "300", "Retry-After": "60"},
        {"X-RateLimit-Reset": lambda: str(int((time.time() + 0.3) * 1000))},
    ],
    ids=["seconds", "milliseconds", "reset"],
)
def test_the_servers_own_pause_is_kept(openrouter, make, driver: Way, headers) -> None:
    openrouter.answers(
        lambda request: error(429, headers={k: v if isinstance(v, str) else v() for k, v in headers.items()}),
        text("Hi."),
    )
    driver(make(max_retries=1))
    first, second = openrouter.requests
    assert 0.25 < second.arrived_at - first.arrived_at < stretched(0.6)


def test_a_pause_may_be_a_date(openrouter, make, driver: Way) -> None:
    openrouter.answers(error(503, headers={"Retry-After": formatdate(time.time() + 1, usegmt=True)}), text("Hi."))
    driver(make(max_retries=1))
    first, second = openrouter.requests
    assert second.arrived_at - first.arrived_at < stretched(1.1)


def test_without_a_hint_it_waits_about_half_a_second_and_then_longer(openrouter, make, driver: Way) -> None:
    openrouter.always(error(503))
    attempts(openrouter, driver, make(max_retries=2))
    first, second, third = (request.arrived_at for request in openrouter.requests)
    assert 0.37 < second - first < stretched(0.65)
    assert 0.74 < third - second < stretched(1.2)


@pytest.mark.parametrize("seconds", ["121", "86400"])
def test_a_server_that_asks_for_more_than_two_minutes_is_not_waited_for(openrouter, make, driver, seconds) -> None:
    openrouter.always(error(429, headers={"Retry-After": seconds}))
    count, failure = attempts(openrouter, driver, make(max_retries=5))
    assert count == 1
    assert failure.retry_after == float(seconds)


def test_the_daily_limit_of_free_models_is_not_run_into_again(openrouter, make, driver: Way) -> None:
    metadata = {"limit_source": "openrouter_free_tier_daily", "headers": {"X-RateLimit-Reset": "1"}}
    openrouter.always(error(429, "Rate limit exceeded: free-models-per-day", metadata=metadata, headers=SOON))
    count, failure = attempts(openrouter, driver, make(max_retries=5))
    assert count == 1
    assert isinstance(failure, RateLimitError)
    assert "00:00 UTC" in str(failure)


def test_the_limit_per_minute_is_tried_again(openrouter, make, driver: Way) -> None:
    metadata = {"limit_source": "openrouter_free_tier_per_minute"}
    openrouter.answers(
        error(429, "Rate limit exceeded: free-models-per-min", metadata=metadata, headers=SOON), text("x")
    )
    assert driver(make(max_retries=1)).text == "x"


def test_credit_reserved_by_requests_in_flight_is_waited_for(openrouter, make, driver: Way) -> None:
    metadata = {"limit_source": "openrouter_in_flight_budget"}
    openrouter.answers(error(402, "Budget in flight", metadata=metadata, headers=SOON), text("x"))
    assert driver(make(max_retries=1)).text == "x"


@pytest.mark.parametrize("source", ["openrouter_credits", "openrouter_key_limit"])
def test_credit_that_is_gone_is_not_asked_for_again(openrouter, make, driver: Way, source: str) -> None:
    openrouter.always(error(402, "Insufficient credits", metadata={"limit_source": source}, headers=SOON))
    assert attempts(openrouter, driver, make(max_retries=5))[0] == 1


def test_a_page_of_the_edge_is_an_error_with_its_title_and_tried_again(openrouter, make, way: Way) -> None:
    page = raw(b"<html><head><title>502 Bad gateway</title></head></html>", status=502, content_type="text/html")
    openrouter.always(page.headers(SOON))
    count, failure = attempts(openrouter, way, make(max_retries=1))
    assert count == 2
    assert "502 Bad gateway" in str(failure)


def test_a_refusal_without_a_word_is_still_an_error(openrouter, generator, way: Way) -> None:
    _, failure = attempts(openrouter, way, generator, raw(b"", status=500))
    assert "an empty reply" in str(failure)


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_refusal_that_breaks_off_keeps_its_status(openrouter, make, way: Way, ending) -> None:
    broken = error(429, "Slow down.").first(30).ending(ending)
    openrouter.answers(broken.headers(SOON), text("Hi."))
    assert way(make(max_retries=1)).text == "Hi."
    assert len(openrouter.requests) == 2


def test_a_timeout_after_sending_is_not_tried_again(openrouter, make, driver: Way) -> None:
    openrouter.always(text("late").held(threading.Event()))
    count, failure = attempts(openrouter, driver, make(timeout=stretched(0.2), max_retries=5))
    assert count == 1
    assert isinstance(failure, APITimeoutError)


@pytest.mark.parametrize("how", ["hangs up", "resets"])
def test_a_pooled_connection_that_the_server_dropped_is_retried(openrouter, make, driver: Way, how) -> None:
    gone = wire() if how == "hangs up" else wire(ending="reset")
    openrouter.answers(text("One."), gone, text("Two."))
    generator = make(max_retries=1)
    assert [driver(generator).text, driver(generator).text] == ["One.", "Two."]
    assert [request.reused for request in openrouter.requests] == [False, True, False]


def test_a_connection_closed_while_idle_is_noticed_before_asking(openrouter, make, way: Way) -> None:
    openrouter.answers(text("One.").ending("drop"), text("Two."))
    generator = make(max_retries=0)
    assert way(generator).text == "One."
    assert wait_until(lambda: openrouter.open_connections == 0)
    assert way(generator).text == "Two."
    assert [request.reused for request in openrouter.requests] == [False, False]


@pytest.mark.parametrize("how", ["hangs up", "resets"])
def test_a_fresh_connection_dropped_without_an_answer_is_not_retried(openrouter, make, way: Way, how) -> None:
    openrouter.always(wire() if how == "hangs up" else wire(ending="reset"))
    count, failure = attempts(openrouter, way, make(max_retries=5))
    assert count == 1
    assert isinstance(failure, APIConnectionError)
    assert "without an answer" in str(failure)


def test_what_is_no_http_is_an_error_and_not_tried_again(openrouter, make, way: Way) -> None:
    openrouter.always(wire(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"))
    count, failure = attempts(openrouter, way, make(max_retries=5))
    assert count == 1
    assert "no HTTP" in str(failure)


def test_a_stream_that_began_is_not_asked_for_again(openrouter, make, streaming: Way) -> None:
    openrouter.always(stream(event("Hel")).ending("reset"))
    count, _ = attempts(openrouter, streaming, make(max_retries=5))
    assert count == 1


def test_a_reply_of_another_status_than_200_is_a_reply(openrouter, generator, way: Way) -> None:
    openrouter.answers(stream(event("Hi."), finish(), done(), status=201) if way.streams else _created())
    assert way(generator).text == "Hi."


def _created() -> Answer:
    from tests.openrouter_server import completion

    return reply_json(completion("Hi."), status=201)


@pytest.mark.parametrize("asked", ["0", "0.0"])
def test_a_server_that_asks_for_no_wait_is_not_asked_at_once(openrouter, make, way: Way, asked) -> None:
    openrouter.answers(error(429, headers={"Retry-After": asked}), text("Hi."))
    started = time.monotonic()
    assert way(make(max_retries=1)).text == "Hi."
    assert time.monotonic() - started > 0.3


@pytest.mark.parametrize("ending", ["/chat/completions", "/chat/completions/", "/completions"])
def test_a_base_url_that_holds_the_path_is_refused_with_what_to_give(make, way: Way, ending) -> None:
    with pytest.raises(ValueError, match=r"Give http://127.0.0.1:9/v1\."):
        way(make(api_base_url="http://127.0.0.1:9/v1" + ending))


@pytest.mark.parametrize(
    ("behind", "advice"),
    [
        (
            "/chat/completions?api-version=2024",
            r"A, and http_client_kwargs={'params': {'api-version': '2024'}}",
        ),
        ("/?api-version=1", r"A, and http_client_kwargs={'params': {'api-version': '1'}}"),
        ("#top", "A"),
    ],
)
def test_a_base_url_with_a_query_says_where_that_goes(openrouter, make, behind: str, advice: str) -> None:
    generator = make(api_base_url=openrouter.base_url + behind)
    with pytest.raises(ConfigurationError) as caught:
        generator.run("Hi")
    assert caught.value.hint == f"Give {advice.replace('A', openrouter.base_url, 1)}."
    make(http_client_kwargs={"params": {"api-version": "1"}}).run("Hi")
    assert (openrouter.request.path, openrouter.request.query) == ("/chat/completions", {"api-version": "1"})


# -- a server on this machine, and what is told meanwhile ---------------------------------------------------------


def retry_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_server_of_this_machine_that_fails_is_tried_twice(openrouter, make, driver: Way, caplog) -> None:
    openrouter.always(raw(b"Internal Server Error", status=500, content_type="text/plain"))
    count, failure = attempts(openrouter, driver, make(max_retries=None))
    assert count == 2
    assert "its log may say more" in str(failure)
    [told] = retry_warnings(caplog)
    assert re.fullmatch(r"Retrying in 0\.[45] s \(2 of 2\): HTTP 500: Internal Server Error\.", told)


def test_so_is_one_that_is_not_there(make, driver: Way, caplog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(APIConnectionError, match="No connection to 127"):
        driver(make(max_retries=None, api_base_url=f"http://127.0.0.1:{port}/v1"))
    assert time.monotonic() - started < stretched(4)  # it was 14 s
    [told] = retry_warnings(caplog)
    assert f"(2 of 2): No connection to 127.0.0.1:{port}: " in told


@pytest.mark.parametrize("status", [429, 503])
def test_one_that_is_busy_is_waited_for_as_any_other(openrouter, make, driver: Way, status: int) -> None:
    openrouter.answers(error(status), error(status, headers=SOON), error(status, headers=SOON), text("Loaded."))
    assert driver(make(max_retries=None)).text == "Loaded."


def test_a_number_of_retries_that_was_chosen_is_kept(openrouter, make, driver: Way, monkeypatch) -> None:
    openrouter.always(error(500))
    monkeypatch.setenv("OPENAI_MAX_RETRIES", "2")
    assert attempts(openrouter, driver, make(max_retries=None))[0] == 3


def test_a_fault_of_the_request_is_told_at_once_whatever_status_it_has(openrouter, make, driver: Way) -> None:
    openrouter.always(reply_json({"error": {"code": 500, "message": "image input is not supported"}}, status=500))
    count, failure = attempts(openrouter, driver, make(max_retries=5))
    assert (count, type(failure)) == (1, errors.BadRequestError)


def test_each_retry_is_told_before_its_wait(openrouter, make, way: Way, caplog) -> None:
    openrouter.answers(error(503, "busy", headers={"Retry-After": "0.3"}), error(429, headers=SOON), text("Hi."))
    told: list[tuple[str, int]] = []

    def tell(line: str) -> None:
        told.append((line, len(openrouter.requests)))

    assert way(make(max_retries=2), on_retry=tell).text == "Hi."
    assert told == [
        ("Retrying in 0.3 s (2 of 3): HTTP 503: busy.", 1),
        ("Retrying in 0.1 s (3 of 3): HTTP 429: Provider returned error.", 2),
    ]
    assert retry_warnings(caplog) == []
