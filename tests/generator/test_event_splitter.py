"""An event stream is cut into events as the standard says, however it arrives, in linear time."""

from __future__ import annotations

import sys

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchat.errors import ResponseLimitError
from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.transport.event_splitter import EventSplitter, ServerSentEvent, events_of
from tests.patterns.cpu_time import cpu_time

WORDS = ["data", "data: a", "data:b", "event", "event: tide", "id: 1", "retry: 2", ":", ": c", " ", "\n", "\r", "\r\n"]
WORDS += ["error: {}", '{"a": 1}', "\n\n", "\u2028", "\x0b", "é", "😀", "data: a\n\n", "data: {}\r\n\r\n"]


def split(pieces: list[str]) -> list[ServerSentEvent]:
    """The events of a text in pieces."""
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.split(piece)]


def standard(text: str) -> list[ServerSentEvent]:
    """The events of a text, line by line as in the standard, but for names without data and errors in the open."""
    events, data, name = [], [], ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]:
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if not line and (data or name):
            events.append(("\n".join(data), name or "message"))
            data, name = [], ""
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "error":
            data.append(value)
            name = field
        elif line.startswith('{"') and not data:
            data.append(line)
    return events


@given(st.lists(st.sampled_from(WORDS), max_size=20), st.lists(st.integers(0, 60), max_size=6))
@example(["data: a\r", "\n", "\r", "\n"], [8, 9, 10])
@example(["data: a", "\n", "\n", "data: b", "\n", "\n"], [8, 9])
def test_events_are_those_of_the_standard_however_they_are_cut(words: list[str], cuts: list[int]) -> None:
    text = "".join(words)
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[begin:end] for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert split(pieces) == split([text]) == split(list(text)) == standard(text)


@given(st.lists(st.tuples(st.sampled_from(["", "error", "tide"]), st.text(alphabet=" :{}ab\u2028é\n", min_size=1))))
def test_another_reader_finds_the_same_events(sent: list[tuple[str, str]]) -> None:
    lines = [[f"event: {name}"] * bool(name) + [f"data: {line}" for line in data.split("\n")] for name, data in sent]
    text = "".join("\n".join(event) + "\n\n" for event in lines)
    response = httpx2.Response(
        200, headers={"content-type": "text/event-stream"}, text=text, request=httpx2.Request("GET", "http://a")
    )
    response.headers["content-type"] = "text/event-stream"
    assert split([text]) == [(event.data, event.event) for event in httpx2.EventSource(response)]


def test_the_last_event_of_a_whole_text_may_lack_its_end() -> None:
    assert list(events_of("event: a\ndata: 1\n\ndata: 2")) == [("1", "a"), ("2", "message")]
    assert list(events_of("data: 1\r\n\r\ndata: 2\r")) == [("1", "message"), ("2", "message")]


@pytest.mark.parametrize("again", ["x", "\n", "\r", "\r\n", ":", ": x\n", "data: x\n", "data:x\n\n", "event: x\n", "é"])
@pytest.mark.parametrize("begin", ["", "data: ", ":"])
def test_the_time_grows_with_the_text_only(begin: str, again: str) -> None:
    def read(size: int) -> None:
        splitter = EventSplitter(ResponseLimits(json_values=10**9))
        splitter.split(begin)
        for character in (again * size)[:size]:
            splitter.split(character)

    short = min(cpu_time(lambda: read(5_000), 30) for _ in range(2))
    assert cpu_time(lambda: read(40_000), 30) <= max(0.5, 2.5 * 8 * short)


def test_what_is_kept_of_an_event_is_bounded_and_a_comment_is_not_kept() -> None:
    splitter = EventSplitter(ResponseLimits(event_bytes=10_000, json_values=100))
    splitter.split("data: 1\n\n:")
    before = sys.getsizeof(splitter._line)
    for _ in range(100):
        assert splitter.split(" " * 1_000) == []
        assert not splitter.has_content
    assert (splitter._line, sys.getsizeof(splitter._line)) == (None, before)
    assert splitter.split("\ndata: 2\n\n") == [("2", "message")]
    with pytest.raises(ResponseLimitError, match="bytes in one event"):
        [splitter.split("data: " + "x" * 999) for _ in range(11)]
    splitter = EventSplitter(ResponseLimits(json_values=100))
    with pytest.raises(ResponseLimitError, match="JSON values"):
        splitter.split("data: x\n" * 101)


def test_events_that_end_between_two_pieces_do_not_add_up() -> None:
    splitter = EventSplitter(ResponseLimits(event_bytes=1_000, json_values=20))
    splitter.split("data: {}\n")
    for _ in range(1_000):
        assert splitter.split("\ndata: {}\n") == [("{}", "message")]


def test_a_piece_tells_whether_it_holds_more_than_comments() -> None:
    splitter = EventSplitter()
    told = []
    for piece in ("data: 1\n\n", ": a\n\n: b", " c", "\n\n", "id: 7\n", "dat", "a: 1", "\n\n", "\n"):
        splitter.split(piece)
        told.append(splitter.has_content)
    assert told == [True, False, False, False, True, True, True, True, False]
