"""`timeout` bounds the first token, each gap and a whole reply; neither comments nor slow callers move it."""

from __future__ import annotations

import time
from threading import Event, Thread

import httpx
import httpx2
import pytest

from orchat.errors import APITimeoutError, ConfigurationError
from orchat.openrouter import transport
from orchat.openrouter.transport.deadline_alarm import DeadlineAlarm
from tests.generator.ways import Way
from tests.openrouter_server import GENERATION_ID, comment, done, event, finish, hold, pause, stream, text, usage
from tests.patience import PATIENCE, stretched

TIMEOUT = 0.3


@pytest.fixture
def hasty(make):
    """A generator that waits for a third of a second."""
    return make(timeout=TIMEOUT, max_retries=5)


@pytest.fixture
def patient(make):
    """A generator that waits as long for what comes at once, however busy the machine is."""
    return make(timeout=stretched(TIMEOUT), max_retries=5)


def took(way: Way, generator) -> tuple[APITimeoutError, float]:
    """Ask, and return the error and how long it took to come."""
    started = time.monotonic()
    with pytest.raises(APITimeoutError) as caught:
        way(generator)
    return caught.value, time.monotonic() - started


def test_an_answer_that_never_begins_times_out_and_is_not_asked_for_again(openrouter, hasty, way: Way) -> None:
    openrouter.answers(text("late").held(Event()))
    error, seconds = took(way, hasty)
    assert TIMEOUT * 0.9 < seconds < stretched(TIMEOUT * 2.5)
    assert error.partial is None
    assert not error.retryable
    assert "billed" in str(error)
    assert len(openrouter.requests) == 1


def test_a_first_token_that_never_comes_times_out(openrouter, patient, driver: Way) -> None:
    openrouter.answers(stream(b"", hold(Event())))
    error, seconds = took(driver, patient)
    assert seconds < patient.timeout * 2.5
    assert error.generation_id == GENERATION_ID
    assert len(openrouter.requests) == 1


def test_the_wait_for_the_headers_counts_for_the_first_token(openrouter, make, driver: Way) -> None:
    openrouter.answers(stream(hold(Event())).delayed(0.35))
    _, seconds = took(driver, make(timeout=0.5))
    assert seconds < stretched(0.75)


def test_comments_do_not_keep_a_dead_upstream_alive(openrouter, patient, driver: Way) -> None:
    openrouter.answers(stream(event("Hel"), [comment(), pause(patient.timeout / 6)] * 60))
    error, seconds = took(driver, patient)
    assert seconds < patient.timeout * 2.2
    assert error.partial.text == "Hel"
    assert error.partial.meta["finish_reason"] is None
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_comments_that_come_as_seldom_as_the_deadline_do_not_double_it(openrouter, make, driver: Way) -> None:
    openrouter.answers(stream(event("a"), pause(0.5), comment(), hold(Event())))
    _, seconds = took(driver, make(timeout=0.6))
    assert seconds < stretched(0.9)


def test_comments_before_the_first_token_do_not_hide_that_it_never_comes(openrouter, hasty, driver: Way) -> None:
    openrouter.answers(stream([comment(), pause(0.04)] * 60))
    _, seconds = took(driver, hasty)
    assert seconds < stretched(TIMEOUT * 2.2)


def test_a_stall_in_the_middle_times_out_and_keeps_what_came(openrouter, patient, driver: Way) -> None:
    openrouter.answers(stream(event("Hel"), event("lo")).ending("stall"))
    error, seconds = took(driver, patient)
    assert error.partial.text == driver.text == "Hello"
    assert error.generation_id == GENERATION_ID
    assert seconds < patient.timeout * 2.5


def test_a_whole_reply_that_drips_times_out(openrouter, patient, whole: Way) -> None:
    openrouter.answers(text("x" * 400).cut(8).paced(patient.timeout / 6))
    error, seconds = took(whole, patient)
    assert "did not finish" in str(error)
    assert error.generation_id == GENERATION_ID
    assert seconds < patient.timeout * 2.2
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_tokens_that_keep_coming_take_as_long_as_they_like(openrouter, make, driver: Way) -> None:
    timeout = stretched(1)
    openrouter.answers(stream([event("x")] * 12, finish(), done()).paced(timeout / 10))
    assert driver(make(timeout=timeout)).text == "x" * 12


def test_a_slow_callback_is_no_timeout(openrouter, patient, driver: Way) -> None:
    openrouter.answers(stream(event("a"), event("b"), pause(0.1), event("c"), finish(), usage(), done()))

    def slow(chunk) -> None:
        time.sleep(patient.timeout * 1.5 if chunk.content else 0)

    if driver.is_async:
        [reply] = driver.runner.run(patient.run_async("Hi", slow))["replies"]
    else:
        [reply] = patient.run("Hi", slow)["replies"]
    assert reply.text == "abc"
    assert reply.meta["usage"]["cost"] == 0.00004


def test_an_alarm_that_is_cleared_while_it_rings_is_waited_for() -> None:
    rings, goes_on, cleared = Event(), Event(), Event()

    def ring() -> None:
        rings.set()
        goes_on.wait(PATIENCE)
        was_cleared.append(cleared.is_set())

    was_cleared: list[bool] = []
    alarm = DeadlineAlarm(ring)
    alarm.set(time.monotonic())
    assert rings.wait(PATIENCE)
    reader = Thread(target=lambda: (alarm.clear(), cleared.set()))  # else a connection in other hands is cut
    reader.start()
    reader.join(0.05)
    goes_on.set()
    reader.join()
    assert was_cleared == [False]


@pytest.mark.parametrize("after", [[], [comment(), pause(0.04)] * 60], ids=["silence", "comments"])
def test_a_whole_answer_does_not_wait_long_for_its_usage(
    openrouter, generator, driver: Way, after, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "USAGE_TIMEOUT", 0.3)
    openrouter.answers(stream(event("Hi."), finish(), after).ending("stall"))
    started = time.monotonic()
    reply = driver(generator)
    assert 0.25 < time.monotonic() - started < stretched(0.8)
    assert (reply.text, reply.meta["finish_reason"], reply.meta["usage"]) == ("Hi.", "stop", None)


def test_a_connection_that_stays_open_after_done_is_left(openrouter, generator, driver: Way) -> None:
    openrouter.answers(stream(event("Hi."), finish(), usage(), done()).ending("stall"))
    started = time.monotonic()
    assert driver(generator).text == "Hi."
    assert time.monotonic() - started < stretched(1)
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_what_a_refusal_says_is_waited_for_a_moment_only(
    openrouter, generator, driver: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchat.errors import BadRequestError
    from orchat.openrouter.transport import response_body
    from tests.openrouter_server import error

    monkeypatch.setattr(response_body, "USAGE_TIMEOUT", 0.3)
    openrouter.answers(error(400, "no such thing").first(20).ending("stall"))
    started = time.monotonic()
    with pytest.raises(BadRequestError, match="HTTP 400"):
        driver(generator)
    assert time.monotonic() - started < stretched(0.8)


def test_the_clients_own_longer_timeout_does_not_lengthen_the_wait(openrouter, make, driver: Way) -> None:
    openrouter.answers(stream(event("a")).ending("stall"))
    generator = make(timeout=TIMEOUT, http_client_kwargs={"timeout": httpx.Timeout(None)})
    _, seconds = took(driver, generator)
    assert seconds < stretched(TIMEOUT * 2.5)


def test_the_clients_own_shorter_timeout_counts(openrouter, make, driver: Way) -> None:
    openrouter.answers(text("late").held(Event()))
    _, seconds = took(driver, make(http_client_kwargs={"timeout": 0.2}))
    assert seconds < stretched(0.6)


def test_the_timeout_may_come_from_the_environment(
    openrouter, make, driver: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_TIMEOUT", "0.2")
    openrouter.answers(text("late").held(Event()))
    _, seconds = took(driver, make(timeout=None))
    assert seconds < stretched(0.6)


def test_a_timeout_given_wins_over_the_environment(openrouter, make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_TIMEOUT", "0.01")
    openrouter.answers(text("Hi.").delayed(0.2))
    assert make(timeout=3).run("Hi")["replies"][0].text == "Hi."


@pytest.mark.parametrize(
    ("value", "words"), [("soon", "must be a number"), ("-1", "more than 0"), ("nan", "more than")]
)
def test_a_senseless_timeout_in_the_environment_is_a_value_error(
    make, driver: Way, monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv("OPENAI_TIMEOUT", value)
    with pytest.raises(ConfigurationError, match=words):
        driver(make(timeout=None))


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_senseless_timeout_is_a_value_error(make, driver: Way, value: float) -> None:
    with pytest.raises(ConfigurationError, match="more than 0"):
        driver(make(timeout=value))


@pytest.mark.parametrize("value", ["5", [5], True])
def test_a_timeout_of_another_type_is_a_type_error(make, driver: Way, value) -> None:
    with pytest.raises(TypeError, match="number of seconds"):
        driver(make(timeout=value))


@pytest.mark.parametrize("value", [float("inf"), 1e12, 1e6])
def test_a_timeout_may_be_as_long_as_one_likes(make, driver: Way, value: float) -> None:
    assert driver(make(timeout=value)).text


def test_without_any_timeout_a_reasoning_model_may_think_for_five_minutes(make, driver: Way) -> None:
    generator = make(timeout=None)
    driver(generator)
    client = generator._transport.client(generator.api_base_url)
    assert client.timeout == httpx2.Timeout(300, connect=30)
    assert generator._transport.idle_timeout == 300
