"""`Reply`: the result of a turn, with its text, tool calls, citations, usage and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from orchat.chat.money import Cost
from orchat.messages import ChatMessage, ChatRole, ImageContent, ToolCall

Ending = Literal[
    "finished", "parked", "max_rounds", "exit_condition", "cut", "repeated", "stopped", "interrupted", "failed"
]


@dataclass(frozen=True)
class Citation:
    """A source that the model cites; untrusted data from outside.

    Examples
    --------
    >>> Citation("https://example.org/tides", "Tides").title
    'Tides'
    """

    url: str
    title: str | None = None
    content: str | None = None
    start_index: int | None = None
    end_index: int | None = None


@dataclass(frozen=True)
class Reply:
    """The result of a turn; as a cell's last line it displays itself as Markdown.

    Parameters
    ----------
    message
        The last message, with everything the endpoint said.
    messages
        All of the turn: the question, each response, each tool's result. Left out: `message` alone.
    pending
        Tool calls that wait for a person's decision (`orchat.chat.Chat.resume`).
    ending
        How the turn ended: ``finished``; ``parked``, with calls pending; ``max_rounds``, when tools were called once
        too often, and ``exit_condition``, when one held, both with a last answer without tools; ``cut``, when the token
        limit ended it within a tool call; ``repeated``, when the same call that cannot run came twice in a row
        (`warnings` says more of these four); ``stopped``, ``interrupted`` or ``failed``, with what had arrived.

    Examples
    --------
    >>> reply = Reply(ChatMessage.from_assistant("The Humber.", {"usage": {"cost": 0.00034}, "finish_reason": "stop"}))
    >>> reply.text, reply.cost
    ('The Humber.', 0.00034)
    """

    message: ChatMessage
    messages: tuple[ChatMessage, ...] = ()
    pending: tuple[ToolCall, ...] = ()
    ending: Ending = "finished"

    @property
    def _responses(self) -> list[ChatMessage]:
        responses = [message for message in self.messages if message.is_from(ChatRole.ASSISTANT)]
        return responses or [self.message]

    @property
    def text(self) -> str:
        """The text of the last response; empty where there is none."""
        return self.message.text or ""

    @property
    def parsed(self) -> Any:
        """The text, parsed as ``response_format`` says; None without one."""
        return self.message.parsed

    def frame(self, backend: str | None = None) -> Any:
        """Return the parsed object as a data frame: a row for each item of a list, a column for each field.

        Parameters
        ----------
        backend
            ``pandas``, ``polars`` or ``pyarrow``; default: the one that is in use, else the first that is installed.

        Raises
        ------
        ConfigurationError
            There is no parsed object, or no such library (a ValueError).
        """
        from orchat.chat.reply_frame import frame_of

        return frame_of(self.parsed, backend)

    @property
    def reasoning(self) -> str:
        """The model's reasoning in all responses; empty where there is none."""
        thoughts = [message.reasoning.reasoning_text for message in self._responses if message.reasoning]
        return "\n\n".join(filter(None, thoughts))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of all responses, those that wait for a decision included."""
        return [call for message in self._responses for call in message.tool_calls]

    @property
    def images(self) -> list[ImageContent]:
        """The images of all responses."""
        return [image for message in self._responses for image in message.images]

    @property
    def citations(self) -> list[Citation]:
        """The sources that the model cites (API section 3.3)."""
        return [citation for message in self._responses for citation in _citations(message)]

    @property
    def usage(self) -> dict[str, Any]:
        """The endpoint's figures for tokens and cost, summed over the turn; empty without any."""
        total: dict[str, Any] = {}
        for message in self._responses:
            if isinstance(usage := message.meta.get("usage"), dict):
                total = _added(total, usage) if total else usage
        return total

    @property
    def spent(self) -> Cost:
        """The cost of the turn, and its number of responses of unknown cost."""
        return sum((Cost.of(message.meta.get("usage")) for message in self._responses), Cost())

    @property
    def cost(self) -> float | None:
        """The cost of the turn in USD, charges to own provider keys included; None where unknown."""
        return self.spent.total

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended: ``stop``, ``length``, ``tool_calls`` ...; None where it was cut."""
        return self.message.meta.get("finish_reason")

    @property
    def warnings(self) -> list[str]:
        """Warnings for people: a cut answer, repaired arguments, a tool loop that was ended."""
        found = [message.meta.get("warnings") for message in self._responses]
        return [text for texts in found if isinstance(texts, list) for text in texts if isinstance(text, str)]

    @property
    def raw(self) -> dict[str, Any]:
        """The last message as a dictionary, with all fields of the endpoint in its ``meta``."""
        return self.message.to_dict()

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str | None:
        return None if _formatter.safe_markdown is None else _formatter.safe_markdown(self.text)

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        ending = "" if self.ending == "finished" else f", ending={self.ending!r}"
        model, reason = self.message.meta.get("model"), self.finish_reason
        return f"Reply({text!r}, model={model!r}, finish_reason={reason!r}{ending})"


class _Formatter:
    safe_markdown: Callable[[str], str] | None = None


_formatter = _Formatter()


def set_safe_markdown(make: Callable[[str], str] | None) -> None:
    """Register what makes a model's Markdown safe to show; without it notebooks show a reply as text."""
    _formatter.safe_markdown = make


def _citations(message: ChatMessage) -> Iterator[Citation]:
    annotations = message.meta.get("annotations")
    for item in annotations if isinstance(annotations, list) else ():
        source = item.get("url_citation") if isinstance(item, dict) and item.get("type") == "url_citation" else None
        if not isinstance(source, dict) or not isinstance(source.get("url"), str):
            continue
        title, content = (text if isinstance(text := source.get(name), str) else None for name in ("title", "content"))
        start, end = (at if isinstance(at := source.get(name), int) else None for name in ("start_index", "end_index"))
        yield Citation(source["url"], title, content, start, end)


def _added(total: dict[str, Any], usage: dict[str, Any]) -> dict[str, Any]:
    """Sum two usages, number by number; of other values the later one counts."""
    result = dict(total)
    for key, value in usage.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = _added(old, value)
        elif _is_number(old) and _is_number(value):
            result[key] = old + value
        elif value is not None:
            result[key] = value
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
