"""Threads of a notebook as plain data: which turns go along, and where a turn is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.chat.message_selection import CallPlace
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.conversations.notebook_conversations import (
    CellTurn,
    NotebookConversation,
    NotebookConversations,
    TurnLocation,
)
from orchat.messages import ChatMessage, ToolCall

PLENTY = 100_000


def exchange(question: str, answer: str | None = "Yes.") -> list[ChatMessage]:
    said = [ChatMessage.from_user(question)]
    return said if answer is None else [*said, ChatMessage.from_assistant(answer)]


def asked(
    thread: NotebookConversation, cell: str | None, execution: int, question: str, **options: object
) -> list[str]:
    """Ask in a cell, keep the answer, and return the questions that went along."""
    turn = CellTurn(TurnLocation(cell, execution), **options)  # type: ignore[arg-type]
    history = thread.history(turn, PLENTY)
    thread.add_turn(turn, exchange(question))
    return [message.text or "" for message in history.messages if not message.is_from("assistant")]


def questions(thread: NotebookConversation) -> list[str | None]:
    return [turn.messages[0].text for turn in thread.turns]


def run_all(thread: NotebookConversation, cells: list[tuple[str, int]], first: int) -> list[list[str]]:
    """Run cells in order, each of which asks some times in a loop."""
    went = []
    for number, (cell, times) in enumerate(cells, first):
        went += [asked(thread, cell, number, f"{cell}{time}") for time in range(times)]
    return went


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_run_all_says_the_same_each_time(loops: list[int]) -> None:
    thread = NotebookConversation("notebook")
    cells = [(f"cell-{number}-", times) for number, times in enumerate(loops)]
    first = run_all(thread, cells, 1)
    kept = questions(thread)
    for again in (2, 3):
        assert run_all(thread, cells, 100 * again) == first
        assert questions(thread) == kept


def test_a_cell_in_the_middle_replaces_its_turn() -> None:
    thread = NotebookConversation("notebook")
    run_all(thread, [("a", 1), ("b", 1), ("c", 1)], 1)
    assert asked(thread, "b", 4, "b again") == ["a0"]
    assert questions(thread) == ["a0", "b again", "c0"]
    assert asked(thread, "d", 5, "d") == ["a0", "b again", "c0"]


def test_a_cell_that_asks_less_often_leaves_no_old_turns() -> None:
    thread = NotebookConversation("notebook")
    run_all(thread, [("a", 3), ("b", 1)], 1)
    run_all(thread, [("a", 1)], 3)
    assert questions(thread) == ["a0", "b0"]


def test_without_a_cells_name_every_run_is_a_new_turn() -> None:
    thread = NotebookConversation("notebook")
    assert asked(thread, None, 1, "one") == []
    assert asked(thread, None, 2, "two") == ["one"]
    assert asked(thread, None, 2, "three") == ["one", "two"]
    assert questions(thread) == ["one", "two", "three"]


def test_new_begins_anew_for_the_cells_behind_it() -> None:
    thread = NotebookConversation("notebook")
    asked(thread, "a", 1, "a", system="Be brief.")
    assert asked(thread, "b", 2, "b", begins=True) == []
    assert asked(thread, "c", 3, "c") == ["b"]
    # The cells before it go on as they were, and so do they when they run again.
    assert asked(thread, "a2", 4, "a2") == ["b", "c"]
    assert asked(thread, "a", 5, "a") == []
    assert asked(thread, "b", 6, "b") == ["a"]
    assert asked(thread, "c", 7, "c") == ["a", "b"]


def test_a_system_message_holds_until_another_is_given() -> None:
    thread = NotebookConversation("notebook")
    assert asked(thread, "a", 1, "a", system="Be brief.") == ["Be brief."]
    assert asked(thread, "b", 2, "b") == ["Be brief.", "a"]
    assert asked(thread, "c", 3, "c", system="Rhyme.") == ["Rhyme.", "a", "b"]
    assert asked(thread, "d", 4, "d") == ["Rhyme.", "a", "b", "c"]
    assert asked(thread, "e", 5, "e", system="") == ["a", "b", "c", "d"]
    assert asked(thread, "b", 6, "b") == ["Be brief.", "a"]


def test_a_budget_leaves_whole_old_turns_out_and_keeps_the_system_message() -> None:
    thread = NotebookConversation("notebook")
    asked(thread, "a", 1, "a" * 4_000, system="Be brief.")
    for number in range(2, 5):
        asked(thread, f"c{number}", number, "b" * 400)
    one = thread.turns[1].tokens
    history = thread.history(CellTurn(TurnLocation("z", 9)), 2 * one)
    assert (history.turns, history.left_out) == (2, 2)
    assert str(history) == "2 earlier turns, 2 older left out"
    assert [message.role.value for message in history.messages] == ["system", *["user", "assistant"] * 2]
    nothing = thread.history(CellTurn(TurnLocation("z", 9)), 0)
    assert (str(nothing), len(nothing.messages)) == ("4 older left out", 1)
    # A small turn behind a large one goes along; one before it does not: what was said has no holes.
    asked(thread, "d", 5, "c" * 4_000)
    asked(thread, "e", 6, "d")
    assert str(thread.history(CellTurn(TurnLocation("z", 9)), 2 * one)) == "1 earlier turn, 5 older left out"


def test_an_instruction_is_for_one_question_alone() -> None:
    thread = NotebookConversation("notebook")
    asked(thread, "a", 1, "a", system="Be brief.")
    history = thread.history(CellTurn(TurnLocation("b", 2)), PLENTY)
    assert history.with_instruction("In code.")[0].text == "Be brief.\n\nIn code."
    assert history.messages[0].text == "Be brief."
    assert (
        NotebookConversation("other").history(CellTurn(TurnLocation()), PLENTY).with_instruction("In code.")[0].text
        == "In code."
    )


@pytest.mark.parametrize("came", [[], [ChatMessage.from_user("a again")]])
def test_a_turn_of_which_nothing_came_changes_nothing(came: list[ChatMessage]) -> None:
    thread = NotebookConversation("notebook")
    run_all(thread, [("a", 1), ("b", 1)], 1)
    turn = CellTurn(TurnLocation("a", 3))
    thread.add_turn(turn, came)
    assert questions(thread) == ["a0", "b0"]
    assert turn.messages == []
    # Nor does it empty one that is a part of the thread, as when a decision about its calls could not be taken.
    kept = thread.turns[0]
    thread.add_turn(kept, came)
    assert [message.text for message in kept.messages] == ["a0", "Yes."]


def test_a_turn_that_goes_on_stays_where_it_is() -> None:
    thread = NotebookConversation("notebook")
    call = ToolCall("tide", {}, "call_1")
    waits = ChatMessage.from_tool("", call, error=True, meta={"pending": True})
    parked = CellTurn(TurnLocation("a", 1))
    thread.add_turn(parked, [ChatMessage.from_user("a"), ChatMessage.from_assistant(tool_calls=[call]), waits])
    asked(thread, "b", 2, "b")
    assert thread.parked_turn == (parked, {CallPlace(0, 0): call})
    went = thread.history(CellTurn(TurnLocation("c", 3)), PLENTY).messages
    assert went[2].tool_call_result.result == "This call did not run: nobody decided about it."  # type: ignore[union-attr]
    done = ChatMessage.from_tool("high", call)
    thread.add_turn(parked, [*parked.messages[:2], done, ChatMessage.from_assistant("High.")])
    assert thread.parked_turn is None
    assert questions(thread) == ["a", "b"]
    assert len(thread.turns[0].messages) == 4


def test_undo_and_reset() -> None:
    thread = NotebookConversation("notebook")
    run_all(thread, [("a", 1), ("b", 1)], 1)
    assert (undone := thread.undo()) is not None
    assert undone.messages[0].text == "b0"
    thread.reset()
    assert thread.undo() is None
    assert asked(thread, "c", 5, "c") == []


def test_a_fork_goes_on_by_itself() -> None:
    threads = NotebookConversations()
    run_all(threads["notebook"], [("a", 1)], 1)
    twin = threads.fork("notebook", "twin")
    assert asked(twin, "b", 2, "b") == ["a0"]
    twin.turns[0].messages[0].meta["mark"] = True
    assert questions(threads["notebook"]) == ["a0"]
    assert threads["notebook"].turns[0].messages[0].meta == {}
    assert twin.session != threads["notebook"].session
    with pytest.raises(ConfigurationError, match="There is a conversation 'twin' already"):
        threads.fork("notebook", "twin")
    with pytest.raises(ConfigurationError, match=r"no conversation 'nowhere'. There are: notebook, twin\."):
        threads.fork("nowhere", "x")
    assert "x" not in threads


def test_threads_come_in_the_order_they_began() -> None:
    threads = NotebookConversations()
    for name in ("b", "a", "b"):
        assert threads[name].name == name
    assert [thread.name for thread in threads] == ["b", "a"]
    assert ("b" in threads, "c" in threads) == (True, False)
