"""What a page asks of a panel. All of it is looked at: a page shows what others wrote, and its messages are data.

Each message says with ``t`` what it is about. What takes time becomes a task, and what goes wrong in it the panel shows
by itself.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters, single_line
from orchat.jupyter.panel.model_picker import find_models

if TYPE_CHECKING:
    from orchat.chat.reply import Reply
    from orchat.jupyter.panel.panel_conversations import PanelConversations
    from orchat.jupyter.panel.panel_view_model import PanelViewModel
    from orchat.jupyter.panel.question_composer import QuestionComposer
    from orchat.messages import ChatMessage

_MOST_TEXT = 2_000_000


class PanelActions(Protocol):
    """What errands need of a panel."""

    log: PanelViewModel
    composing: QuestionComposer
    conversations: PanelConversations

    @property
    def is_free(self) -> bool:
        """Whether nothing goes on, and what is kept may be changed."""

    def begin(self, work: Coroutine[Any, Any, Any]) -> object:
        """Begin a task."""

    def ask(self, question: ChatMessage) -> Coroutine[Any, Any, Reply]:
        """Ask a question."""

    def ask_again(self, model: str | None) -> Coroutine[Any, Any, Reply]:
        """Ask the last question again."""

    def take_back(self) -> ChatMessage | None:
        """Take the last turn back, and return its question."""

    def stop(self) -> None:
        """Stop what goes on."""

    def decide(self, content: dict[str, Any]) -> None:
        """Take what a person did in a form."""

    def show_chat(self) -> None:
        """Show another conversation."""

    def show_error(self, error: BaseException) -> None:
        """Show what went wrong."""

    def to_cell(self, source: str) -> None:
        """Put something into a new cell."""

    def page_saves(self) -> None:
        """Learn that the page saves the transcript."""

    def release(self) -> None:
        """Write over what could not be read."""

    def changed(self, keep: bool) -> None:
        """Show what is new, and keep it."""


def handle_message(panel: PanelActions, content: dict[str, Any]) -> None:
    """Do what a page asks; what makes no sense is passed over."""
    match content.get("t"):
        case "draft" if isinstance(content.get("text"), str):
            panel.composing.typed(_text(content["text"]))
        case "attach":
            panel.composing.attach(content)
        case "unattach":
            panel.composing.drop(content.get("n"))
        case "stop":
            panel.stop()
        case "older":
            panel.log.older()
        case "models" if isinstance(content.get("query"), str):
            panel.begin(_models(panel, single_line(content["query"]), content.get("n")))
        case "check" | "decide" | "revoke":
            panel.decide(content)
        case "cell" if isinstance(content.get("code"), str):
            panel.to_cell(content["code"])
        case "export":
            _export(panel, content)
        case "saves":
            panel.page_saves()
        case "discard":
            panel.release()
        case "dismiss":
            panel.log.set(error=None)
        case _ if panel.is_free:  # the conversation does not change while a turn goes on
            _change(panel, content)
    panel.changed(False)


def _change(panel: PanelActions, content: dict[str, Any]) -> None:
    text, name, model = (content.get(key) for key in ("text", "name", "model"))
    try:
        match content.get("t"):
            case "send" if isinstance(text, str):
                if (question := panel.composing.take(_text(text))) is not None:
                    panel.begin(panel.ask(question))
                return
            case "again":
                panel.begin(panel.ask_again(single_line(model, 200) if isinstance(model, str) and model else None))
                return
            case "edit":
                if (question := panel.take_back()) is not None:
                    panel.composing.put_back(question)
            case "undo":
                panel.take_back()
            case "new":
                panel.conversations.begin(single_line(name, 60) if isinstance(name, str) else None)
                panel.show_chat()
            case "switch" if isinstance(name, str):
                panel.conversations.switch(name)
                panel.show_chat()
            case "model" if isinstance(model, str):
                panel.conversations.pick(single_line(model, 200))
            case "parameters":
                panel.conversations.set_parameters(content)
            case "system" if isinstance(text, str):
                panel.conversations.set_system(_text(text))
            case _:
                return
    except ConfigurationError as error:
        panel.show_error(error)
    panel.changed(True)


def _export(panel: PanelActions, content: dict[str, Any]) -> None:
    text = panel.conversations.shown.export_markdown()
    if content.get("to") == "cell":
        panel.to_cell("%%markdown\n" + text)
    elif isinstance(number := content.get("n"), int):
        panel.log.set(exported={"n": number, "text": text})


async def _models(panel: PanelActions, query: str, number: object) -> None:
    found = await find_models(query)
    panel.log.set(models={**found, "query": query, "n": number if isinstance(number, int) else 0})
    panel.changed(False)


def _text(text: str) -> str:
    return escape_control_characters(text[:_MOST_TEXT])
