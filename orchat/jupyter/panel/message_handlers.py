"""Validate and dispatch the messages of a panel's page, which are untrusted data.

The field ``t`` of a message is its type. What takes time becomes a task, whose errors the panel shows by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.jupyter.panel.model_picker import parameter_errors

if TYPE_CHECKING:
    from orchat.jupyter.panel.model_picker import ModelSearch
    from orchat.jupyter.panel.panel_conversations import PanelConversations
    from orchat.jupyter.panel.panel_view_model import PanelViewModel
    from orchat.jupyter.panel.question_composer import QuestionComposer
    from orchat.jupyter.panel.turn_requests import TurnRequests
    from orchat.jupyter.panel.turn_versions import TurnVersions

_MAX_TEXT = 2_000_000


class PanelActions(Protocol):
    """The panel's operations that the handlers call."""

    view_model: PanelViewModel
    composer: QuestionComposer
    conversations: PanelConversations
    model_search: ModelSearch
    versions: TurnVersions
    requests: TurnRequests

    @property
    def is_editable(self) -> bool:
        """Whether the conversation may be changed: no turn runs, and the saved one is not protected."""

    def start_task(self, work: Coroutine[Any, Any, Any]) -> object:
        """Run a coroutine as a task."""

    def send(self, text: str, *, warning: object, allow_secrets: bool) -> None:
        """Run a turn with the draft, or warn of its secrets first."""

    def change_turns(self, change: Callable[[], object]) -> None:
        """Switch, take back or bring back turns."""

    def keep_draft(self) -> None:
        """Save the draft soon."""

    def stop(self) -> None:
        """Stop the running turn."""

    def handle_form_message(self, content: dict[str, Any]) -> None:
        """Handle a message of a form, or of a grant."""

    def show_chat(self) -> None:
        """Display the current chat."""

    def show_error(self, error: BaseException) -> None:
        """Show an error as a card."""

    def insert_cell(self, source: str) -> None:
        """Insert a cell below the panel's."""

    def refresh_output(self) -> None:
        """Update the transcript that is saved with the output; the page writes it into the file."""

    def update_output(self) -> None:
        """Update the output with the transcript, for a page that cannot write into the file."""

    def allow_overwrite(self) -> None:
        """Allow writing over a saved conversation that could not be read."""

    def publish_changes(self, persist: bool) -> None:
        """Send changes to the page, and save the conversation if asked to."""


def handle_message(panel: PanelActions, content: dict[str, Any]) -> None:
    """Handle a message of the page; invalid ones are ignored."""
    match content.get("t"):
        case "draft" if isinstance(content.get("text"), str):
            panel.composer.set_draft(_clean_text(content["text"]))
            panel.keep_draft()
        case "complete" if isinstance(before := content.get("before"), str) and isinstance(content.get("n"), int):
            after = content.get("after")
            panel.composer.complete(before[:_MAX_TEXT], str(after)[:_MAX_TEXT] if after else "", content["n"])
        case "attach":
            panel.composer.attach(content)
            panel.keep_draft()
        case "unattach":
            panel.composer.drop(content.get("n"))
            panel.keep_draft()
        case "stop":
            panel.stop()
        case "older":
            panel.view_model.older()
        case "models" if isinstance(content.get("query"), str):
            number = content.get("n")
            panel.model_search.search(single_line(content["query"]), number if isinstance(number, int) else 0)
        case "check" | "decide" | "revoke":
            panel.handle_form_message(content)
        case "cell" if isinstance(content.get("code"), str):
            panel.insert_cell(content["code"])
        case "key":
            panel.insert_cell("%load_ext orchat\n%openrouter key set")
        case "export":
            _export_chat(panel, content)
        case "saves":
            panel.refresh_output()
        case "update_output":
            panel.update_output()
        case "discard":
            panel.allow_overwrite()
        case "dismiss":
            panel.requests.dismiss()
        case _ if panel.is_editable:  # the conversation does not change while a turn goes on
            _handle_change(panel, content)
    panel.publish_changes(False)


def _handle_change(panel: PanelActions, content: dict[str, Any]) -> None:
    text, name, model = (content.get(key) for key in ("text", "name", "model"))
    versions = panel.versions
    try:
        match content.get("t"):
            case "send" if isinstance(text, str):
                allowed = content.get("as_it_is") is True
                panel.send(_clean_text(text), warning=content.get("warning"), allow_secrets=allowed)
                return
            case "again" | "retry" as kind:
                other_model = single_line(model, 200) if isinstance(model, str) and model else None
                requests, key = panel.requests, content.get("k")
                again = requests.retry(other_model) if kind == "retry" else requests.regenerate(other_model, key)
                panel.start_task(again)
                return
            case "edit":
                versions.edit(versions.find(content.get("k")))
            case "cancel_edit":
                versions.cancel_edit()
            case "undo":
                panel.change_turns(versions.undo)
            case "redo":
                panel.change_turns(versions.redo)
            case "version" if isinstance(number := content.get("n"), int):
                panel.change_turns(partial(versions.show_version, versions.find(content.get("k")), number))
            case "compare":
                versions.compare(versions.find(content.get("k")), on=content.get("on") is True)
            case "new" | "switch" | "rename" | "delete" as kind:
                _change_chats(panel.conversations, kind, name, content.get("to"))
                panel.show_chat()
            case "model" if isinstance(model, str):
                panel.conversations.set_model(single_line(model, 200))
            case "parameters":
                errors = parameter_errors(content)
                if not errors:
                    panel.conversations.set_parameters(content)
                number = content.get("n")
                panel.view_model.set(refused={"n": number if isinstance(number, int) else 0, "errors": errors})
            case "tools" if isinstance(off := content.get("off"), list):
                panel.conversations.switch_tools_off([each for each in off if isinstance(each, str)])
            case "system" if isinstance(text, str):
                panel.conversations.set_system(_clean_text(text))
            case _:
                return
    except ConfigurationError as error:
        panel.show_error(error)
    panel.publish_changes(True)


def _change_chats(chats: PanelConversations, kind: str, name: object, to: object) -> None:
    if kind == "new":
        chats.new_chat(single_line(name, 60) if isinstance(name, str) else None)
    elif not isinstance(name, str):
        return
    elif kind == "switch":
        chats.switch_chat(name)
    elif kind == "delete":
        chats.delete_chat(name)
    elif isinstance(to, str):
        chats.rename_chat(name, to)


def _export_chat(panel: PanelActions, content: dict[str, Any]) -> None:
    text = panel.conversations.current_chat.export_markdown()
    if content.get("to") == "cell":
        panel.insert_cell("%%markdown\n" + text)
    elif isinstance(number := content.get("n"), int):
        panel.view_model.set(exported={"n": number, "text": text})


def _clean_text(text: str) -> str:
    return escape_control_characters(text[:_MAX_TEXT])
