"""The steps of a turn: what its state machine (`orchat.chat.turn.Turn`) says is to be done next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from orchat.chat.message_selection import CallPlace
from orchat.chat.reply import Ending
from orchat.messages import ToolCall
from orchat.tools import Tool


@dataclass(frozen=True)
class CallModel:
    """The step: request a response from the model, and pass it to `Turn.responded`.

    Parameters
    ----------
    is_last
        Whether it must be an answer, without tool calls: the turn ends with it.
    """

    is_last: bool = False


@dataclass(frozen=True)
class AskApproval:
    """The step: get a decision for each of these calls, and pass them to `Turn.decided`."""

    calls: Mapping[CallPlace, ToolCall]


@dataclass(frozen=True)
class RunTool:
    """One tool to run with these arguments; its outcome goes to `Turn.returned`."""

    place: CallPlace
    call: ToolCall
    tool: Tool
    arguments: dict[str, Any]


@dataclass(frozen=True)
class RunTools:
    """The step: run these tools, in any order."""

    runs: tuple[RunTool, ...]


@dataclass(frozen=True)
class TurnEnded:
    """The final step: the turn has ended, in this way."""

    ending: Ending


Step: TypeAlias = CallModel | AskApproval | RunTools | TurnEnded
