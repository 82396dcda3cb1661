"""Cells that remember: what goes along with each question, in a real kernel that is told which cell runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import Ended, Kernel
from tests.jupyter.test_magic_options import ask
from tests.openrouter_server import (
    ScriptedOpenRouter,
    data,
    done,
    error,
    event,
    finish,
    reply_json,
    stream,
    text,
    usage,
)
from tests.openrouter_server.server import CHAT

pytestmark = pytest.mark.slow

FIVE_TURNS = (
    ("a", '%%openrouter -s "Be brief."\nName a river.'),
    ("b", "%%openrouter\nWhere does it end?"),
    ("c", "for port in ('Hull', 'Goole'):\n    %openrouter -- Is {port} on it?"),
    ("d", "%%openrouter --chat other\nName a sea."),
    ("e", "%%openrouter\nThank you."),
)


def said(endpoint: ScriptedOpenRouter) -> list[str]:
    """What the latest request said, without the answers."""
    return [each["content"] for each in endpoint.request.json["messages"] if each["role"] != "assistant"]


def in_cell(kernel: Kernel, cell: str, code: str, **options: Any) -> Ended:
    (ended,) = kernel.run(code, cell_ids=[cell], **options)
    return ended


def footer(ended: Ended) -> str:
    return str(ended.bundles[-1]["text/plain"].splitlines()[-1])


@pytest.fixture(autouse=True)
def _an_answer_for_each_question(endpoint: ScriptedOpenRouter) -> Iterator[None]:
    endpoint.always(lambda request: text("Re: " + request.json["messages"][-1]["content"]))
    yield
    endpoint.on(*CHAT).standing = None


def test_run_all_twice_sends_the_same(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    sent = []
    for _ in range(3):
        before = len(endpoint.requests)
        ended = any_kernel.run(*[code for _, code in FIVE_TURNS], cell_ids=[cell for cell, _ in FIVE_TURNS])
        assert [each.status for each in ended] == ["ok"] * 5
        sent.append([request.json["messages"] for request in endpoint.requests[before:]])
        (chats,) = any_kernel.run("%openrouter chats")
        assert chats.printed.splitlines() == [
            "notebook: 5 turns, last: Thank you.",
            "other: 1 turn, last: Name a sea.",
        ]
    assert sent[0] == sent[1] == sent[2]
    assert [len(messages) for messages in sent[0]] == [2, 4, 6, 8, 1, 10]
    assert [message["content"] for message in sent[0][3] if message["role"] != "assistant"] == [
        "Be brief.",
        "Name a river.",
        "Where does it end?",
        "Is Hull on it?",
        "Is Goole on it?",
    ]


def test_a_cell_in_the_middle_replaces_its_turn(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    for cell in "abc":
        in_cell(kernel, cell, f"%%openrouter\n{cell}")
    in_cell(kernel, "b", "%%openrouter\nb, but other")
    assert said(endpoint) == ["a", "b, but other"]
    ended = in_cell(kernel, "d", "%%openrouter\nd")
    assert said(endpoint) == ["a", "b, but other", "c", "d"]
    assert footer(ended).endswith(" · with 3 earlier turns")


def test_new_and_no_history(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    in_cell(kernel, "a", "%%openrouter -s Brief.\na")
    ended = in_cell(kernel, "b", "%%openrouter --no-history\nb")
    assert (said(endpoint), "earlier" in footer(ended)) == (["b"], False)
    in_cell(kernel, "c", "%%openrouter\nc")
    assert said(endpoint) == ["Brief.", "a", "c"]
    in_cell(kernel, "d", "%%openrouter --new\nd")
    assert said(endpoint) == ["d"]
    in_cell(kernel, "e", "%%openrouter\ne")
    assert said(endpoint) == ["d", "e"]
    in_cell(kernel, "c", "%%openrouter\nc")
    assert said(endpoint) == ["Brief.", "a", "c"]


def test_the_budget_leaves_old_turns_out_and_says_so(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    for cell in "abcd":
        in_cell(kernel, cell, f"%%openrouter\n{cell} {'word ' * 200}")
    try:
        ask(kernel, "%config OpenRouterMagics.history_tokens = 1100")
        ended = in_cell(kernel, "e", "%%openrouter\ne")
    finally:
        ask(kernel, "%config OpenRouterMagics.history_tokens = None")
    assert [each[:2].strip() for each in said(endpoint)] == ["c", "d", "e"]
    assert footer(ended).endswith(" · with 2 earlier turns, 2 older left out")


def test_the_usual_budget_leaves_room_in_a_small_model(kernel: Kernel) -> None:
    for cell in "abcd":
        in_cell(kernel, cell, f"%%openrouter\n{cell} {'word ' * 400}")
    (told,) = kernel.run("%%openrouter local/smollm2-135m-instruct --dry-run\nHi")
    assert 2 <= told.printed.count('"role": "user"') < 5


def test_the_budget_follows_the_context_that_a_server_lists_in_its_own_words(
    kernel: Kernel, endpoint: ScriptedOpenRouter
) -> None:
    for cell in "abcd":
        in_cell(kernel, cell, f"%%openrouter\n{cell} {'word ' * 400}")
    models = endpoint.on("GET", "/models")
    models.answers(reply_json({"data": [{"id": "smol", "meta": {"n_ctx": 2048, "n_ctx_train": 8192}}]}))
    try:
        ask(kernel, "%openrouter models")
        (told,) = kernel.run("%%openrouter smol --dry-run\nHi")
    finally:
        ask(kernel, "%openrouter models")
    assert 2 <= told.printed.count('"role": "user"') < 4


@pytest.mark.parametrize("how", ["refused", "cut at once", "interrupted before the first token"])
def test_a_run_again_of_which_nothing_comes_loses_nothing(
    kernel: Kernel, endpoint: ScriptedOpenRouter, how: str
) -> None:
    for cell in "abc":
        in_cell(kernel, cell, f"%%openrouter\n{cell}")
    gate = threading.Event()
    asked = len(endpoint.requests)
    cut = stream().ending("reset")  # on the loopback the same is asked without streaming, once
    endpoint.answers(
        *{
            "refused": [error(400, "No.")],
            "cut at once": [cut, cut],
            "interrupted before the first token": [text("late").held(gate)],
        }[how]
    )
    interrupts = (lambda _: endpoint.requests[asked:]) if how.startswith("interrupted") else None
    ended = in_cell(kernel, "b", "%%openrouter\nb again", interrupt_when=interrupts)
    gate.set()
    assert ended.status == "error"
    assert "turn" not in read_extras(ended.bundles[-1])
    in_cell(kernel, "d", "%%openrouter\nd")
    assert said(endpoint) == ["a", "b", "c", "d"]


def test_what_arrived_of_a_run_again_takes_its_place(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    for cell in "abc":
        in_cell(kernel, cell, f"%%openrouter\n{cell}")
    endpoint.answers(stream(event("Half an ans")).ending("reset"))
    assert in_cell(kernel, "b", "%%openrouter\nb again").status == "error"
    in_cell(kernel, "d", "%%openrouter\nd")
    assert [message["content"] for message in endpoint.request.json["messages"]][2:5] == ["b again", "Half an ans", "c"]
    # It goes on as any other, and can be asked again.
    in_cell(kernel, "b", "%%openrouter\nb once more")
    in_cell(kernel, "e", "%%openrouter\ne")
    assert said(endpoint) == ["a", "b once more", "c", "d", "e"]


def test_undo_reset_fork_and_cost(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    for cell in "ab":
        in_cell(kernel, cell, f"%%openrouter\n{cell}")
    assert ask(kernel, "%openrouter fork 'the other'").printed == (
        "the other goes on from notebook (2 turns): ask with --chat 'the other'.\n"
    )
    assert ask(kernel, "%openrouter undo").printed == "notebook: taken back: b\n"
    in_cell(kernel, "c", "%%openrouter\nc")
    assert said(endpoint) == ["a", "c"]
    in_cell(kernel, "d", "%%openrouter --chat 'the other'\nd")
    assert said(endpoint) == ["a", "b", "d"]
    cost = ask(kernel, "%openrouter cost").printed.splitlines()
    assert cost[0].startswith("this session: ")
    assert [line.rpartition(", ")[2] for line in cost[1:]] == ["2 turns", "3 turns"]
    assert all("$" in line for line in cost)
    assert ask(kernel, "%openrouter reset the other").printed == "the other: 3 turns forgotten.\n"
    in_cell(kernel, "d", "%%openrouter --chat 'the other'\nd")
    assert said(endpoint) == ["d"]
    for line, words in (
        ("undo nowhere", "There is no conversation 'nowhere'. There are: notebook, the other."),
        ("fork notebook 'the other'", "There is a conversation 'the other' already. Give another name."),
        ("fork", "A fork needs a name. %openrouter fork [FROM] NAME"),
    ):
        (wrong,) = kernel.run(f"%openrouter {line}")
        assert wrong.content["traceback"] == [f"openrouter: {words}"]


def test_nothing_shows_the_key(kernel: Kernel) -> None:
    seen = kernel.run(
        "%%openrouter\nWhat is my key?",
        "%openrouter params",
        "%openrouter chats",
        "%openrouter cost",
        "%openrouter --dry-run -- Hi",
        cell_ids=list("abcde"),
    )
    assert [each.status for each in seen] == ["ok"] * 5
    assert not any(KEY[3:] in str((each.messages, each.content)) for each in seen)
    assert "OPENROUTER_BASE_URL" in seen[1].printed


def test_a_word_that_is_half_a_character_ends_no_cell(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    halves = [data(json.dumps(event(each))) for each in ("Half \ud83d", "\ude00 and \udc00.")]
    endpoint.answers(stream(halves, finish("stop"), usage(), done()))
    ended = in_cell(kernel, "a", "%%openrouter\nHi")
    assert ended.status == "ok", ended.content
    assert ended.bundles[-1]["text/plain"].startswith("Half ")
    in_cell(kernel, "b", "%%openrouter\nb")
    assert said(endpoint) == ["Hi", "b"]
