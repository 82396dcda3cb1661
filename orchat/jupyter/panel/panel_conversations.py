"""The named chats of a panel: which one is displayed, its model and parameters, their snapshot for storage."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from orchat.chat import state
from orchat.chat.message_selection import split_at_questions
from orchat.chat.money import Cost
from orchat.configuration import resolve_model_alias
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.kernel.variable_tools.conversation_variables import used_variables
from orchat.jupyter.panel.failed_request import FailedRequest
from orchat.jupyter.panel.model_picker import merge_parameters, shown_parameters
from orchat.jupyter.panel.panel_serialization import PanelSnapshot
from orchat.jupyter.panel.question_view import split_question
from orchat.messages import ChatMessage, ChatRole
from orchat.tools.switched_tools import SwitchedTools
from orchat.tools.toolset import flatten

if TYPE_CHECKING:
    from orchat.chat import Chat
    from orchat.tools import Tool

DEFAULT_NAME = "chat"
_GENERATED_NAME = re.compile(rf"{DEFAULT_NAME}(?: \d{{1,6}})?")
_MAX_TITLE = 60  # characters of a first question
_MAX_NAMES = 40  # missing variables that the restart notice names


_MAX_SWITCHES = 400  # of tools; what is beyond is switched with its server only


def _told_title(tool: Tool) -> str:
    """Return what is told beside a tool's name: its title, unless that is the name again, or its description."""
    return tool.title if tool.title and tool.title not in tool.name else tool.description


class PanelConversations:
    """Named chats that share tools, policy and budget.

    Parameters
    ----------
    first
        The first chat, from the panel's arguments; new ones are copies of its start.

    Examples
    --------
    >>> from orchat.chat import Chat
    >>> chats = PanelConversations(Chat(None, "Be brief."))
    >>> chats.new_chat().name, chats.names, [message.text for message in chats.current_chat.messages]
    ('chat 2', ['chat', 'chat 2'], ['Be brief.'])
    """

    def __init__(self, first: Chat) -> None:
        self._template = first.fork()
        self._template.reset()
        self.current_name = single_line(first.name or "", 60) or DEFAULT_NAME
        self._chats = {self.current_name: first}
        self._failed: dict[str, FailedRequest] = {}
        self._earlier_calls: set[str] = set()  # ids of calls of an earlier run, of which no model is told yet
        self._deleted_cost = Cost()

    @property
    def current_chat(self) -> Chat:
        """The chat that is displayed."""
        return self._chats[self.current_name]

    @property
    def failed(self) -> FailedRequest | None:
        """The request of the current chat that failed; None after another one."""
        return self._failed.get(self.current_name)

    @failed.setter
    def failed(self, failed: FailedRequest | None) -> None:
        if failed is None:
            self._failed.pop(self.current_name, None)
        else:
            self._failed[self.current_name] = failed

    @property
    def names(self) -> list[str]:
        """The names of the chats."""
        return list(self._chats)

    @property
    def model(self) -> str:
        """The model of the current chat."""
        return self.current_chat.model or resolve_model_alias(None)

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools of the current chat, by name."""
        chat = self.current_chat
        generator = chat._generator  # as it is: asking for one would connect
        return {
            tool.name: tool
            for tool in flatten(generator.tools if chat.tools is None and generator is not None else chat.tools)
        }

    def view_fields(self) -> dict[str, Any]:
        """Return the fields that the page shows: model, parameters, system message, chats, cost."""
        chat = self.current_chat
        return {
            "model": single_line(self.model, 200),
            "parameters": shown_parameters(chat.generation_kwargs),
            "system": (chat.messages[0].text or "") if _has_system(chat) else "",
            "chats": self.names,
            "chat": self.current_name,
            "titles": {name: title for name in self.names if (title := self.title(name)) != name},
            "redo": chat.can_redo,
            "cost": str(sum((each.cost for each in self._chats.values()), self._deleted_cost)),
            "tools": self._tool_switches(),
        }

    def _tool_switches(self) -> list[dict[str, Any]]:
        """Return the tools that a person may switch, by server or other toolset, as the page shows them."""
        tools = self.current_chat.tools
        switched = tools if isinstance(tools, SwitchedTools) else SwitchedTools(tools)
        groups, left = [], _MAX_SWITCHES
        for label, members in switched.groups():
            shown = [
                {
                    "name": each.name,
                    "title": single_line(_told_title(each), 80),
                    "on": each.name not in switched.off,
                }
                for each in members[:left]
            ]
            left -= len(shown)
            groups.append({"label": single_line(label, 60), "tools": shown, "more": len(members) - len(shown)})
        return groups

    # -- choices of people --------------------------------------------------------------------------------------

    def new_chat(self, name: str | None = None) -> Chat:
        """Start another chat and display it; a name that is taken or missing is generated."""
        number = len(self._chats) + 1
        while not name or name in self._chats:
            name, number = f"{DEFAULT_NAME} {number}", number + 1
        self._chats[name] = self._template.fork(name)
        self.current_name = name
        return self.current_chat

    def switch_chat(self, name: str) -> None:
        """Display another chat.

        Raises
        ------
        ConfigurationError
            There is no chat of that name (a ValueError).
        """
        self._check_name(name)
        self.current_name = name

    def title(self, name: str) -> str:
        """Return what a chat is called: its name, or its first question where the name was generated.

        Examples
        --------
        >>> from orchat.chat import Chat
        >>> from orchat.messages import ChatMessage
        >>> chat = Chat()
        >>> chat.messages = [ChatMessage.from_user("When is it high?")]
        >>> PanelConversations(chat).title("chat")
        'When is it high?'
        """
        if not _GENERATED_NAME.fullmatch(name):
            return name
        questions = (split_question(each)[0] for each in self._chats[name].messages if each.is_from(ChatRole.USER))
        first = next(filter(str.strip, questions), None)
        return name if first is None else single_line(first, _MAX_TITLE)

    def rename_chat(self, name: str, to: str) -> None:
        """Give a chat another name.

        Raises
        ------
        ConfigurationError
            There is no chat of that name, or another one has the new name (a ValueError).
        """
        self._check_name(name)
        to = single_line(to, 60)
        if not to or (to in self._chats and to != name):
            raise ConfigurationError(f"A chat cannot be called {to!r}.", hint="Its name is short, and no other has it.")
        self._chats = {to if each == name else each: chat for each, chat in self._chats.items()}
        if name in self._failed:
            self._failed[to] = self._failed.pop(name)
        if self.current_name == name:
            self.current_name = to

    def delete_chat(self, name: str) -> None:
        """Delete a chat; its cost stays counted. Without any other one a new one begins.

        Raises
        ------
        ConfigurationError
            There is no chat of that name (a ValueError).
        """
        self._check_name(name)
        self._deleted_cost += self._chats.pop(name).cost
        self._failed.pop(name, None)
        if not self._chats:
            self.new_chat(DEFAULT_NAME)
        elif self.current_name == name:
            self.current_name = next(reversed(self._chats))

    def _check_name(self, name: str) -> None:
        if name not in self._chats:
            raise ConfigurationError(f"There is no chat {name!r:.80}.", hint=f"There are {', '.join(self._chats)}.")

    def set_model(self, model: str) -> None:
        """Set the current chat's model; an empty name means the default."""
        self.current_chat.model = resolve_model_alias(model) if model else None

    def set_parameters(self, wanted: Mapping[str, Any]) -> None:
        """Set the current chat's parameters (`orchat.jupyter.panel.model_picker.merge_parameters`)."""
        self.current_chat.generation_kwargs = merge_parameters(self.current_chat.generation_kwargs, wanted)

    def switch_tools_off(self, names: Collection[str]) -> None:
        """Switch these tools off in all chats, and all others on."""
        for chat in (self._template, *self._chats.values()):
            switched = SwitchedTools(chat.tools, names)
            chat.tools = switched if names and chat.tools is not None else switched.given

    def set_system(self, text: str) -> None:
        """Set the current chat's system message; an empty text removes it."""
        chat = self.current_chat
        messages = chat.messages[1:] if _has_system(chat) else chat.messages
        chat.messages = [ChatMessage.from_system(text), *messages] if text.strip() else messages

    # -- storage ------------------------------------------------------------------------------------------------

    def restore(self, snapshot: PanelSnapshot) -> str:
        """Restore chats from a snapshot, and describe the settings that the current one got from it.

        It sets messages, and what the code leaves open of the model and the parameters.
        """
        initial_chat, self._chats = self.current_chat, {}
        described = ""
        for name, saved in snapshot.chats.items():
            chat = initial_chat if name == snapshot.current_name else self._template.fork(name)
            chat.restore_messages(saved.messages, saved.versions)
            settings = chat.restore_settings(saved)
            if name == snapshot.current_name:
                described = settings
            self._chats[name] = chat
            self._earlier_calls |= {call.id for message in saved.messages for call in message.tool_calls if call.id}
            hidden = (message for turn in saved.versions for message in turn.messages)
            self._earlier_calls |= {call.id for message in hidden for call in message.tool_calls if call.id}
        self.current_name = snapshot.current_name
        self._failed = dict(snapshot.failed)
        return f"Restored with the conversation: {described}." if described else ""

    def snapshot(self, messages_so_far: Callable[[Chat], list[ChatMessage]]) -> tuple[PanelSnapshot, list[str]]:
        """Return a snapshot for storage, and the secrets that must not be in it.

        Parameters
        ----------
        messages_so_far
            Return a chat's messages, those of a running turn included.
        """
        chats, secrets = {}, []
        for name, chat in self._chats.items():
            # What the code sets, it sets again when the cell is run again.
            default_kwargs = self._template.generation_kwargs
            changed_kwargs = {
                key: value for key, value in chat.generation_kwargs.items() if default_kwargs.get(key) != value
            }
            model = chat.model if chat.model != self._template.model else None
            chats[name] = state.ChatState(
                messages_so_far(chat), None, model, changed_kwargs, versions=chat.hidden_turns()
            )
            secrets += state.secrets_of(chat._generator)
        return PanelSnapshot(chats, self.current_name, failed=dict(self._failed)), secrets

    def add_restart_notice(self, variables: Mapping[str, Any], version_of: int | None = None) -> None:
        """Tell the model before a question, once, what a restart of the kernel has taken from earlier tool calls.

        A system message names missing tools and variables.

        Parameters
        ----------
        variables
            The user's current variables.
        version_of
            The number of the turn in whose place the question is asked; None behind the last one.
        """
        before, turns = split_at_questions(self.current_chat.messages)
        kept, rest = (turns, []) if version_of is None else (turns[:version_of], turns[version_of:])
        messages = [message for turn in kept for message in turn]
        calls = [call for message in messages for call in message.tool_calls if call.id in self._earlier_calls]
        if not calls:
            return
        self._earlier_calls -= {str(call.id) for call in calls}
        words = "This conversation goes on in another run: what earlier tool calls left in memory may be gone."
        if gone := sorted({call.tool_name for call in calls} - set(self.tools)):
            words += f" These tools are not there any more: {', '.join(gone)}."
        completed_calls = [
            result.origin for message in messages for result in message.tool_call_results if not result.error
        ]
        if gone := sorted(used_variables(completed_calls) - set(variables)):
            more = f" and {len(gone) - _MAX_NAMES} more" if len(gone) > _MAX_NAMES else ""
            words += f" These variables are not there any more: {', '.join(gone[:_MAX_NAMES])}{more}."
        behind = [message for turn in rest for message in turn]
        self.current_chat.messages = [*before, *messages, ChatMessage.from_system(words), *behind]


def _has_system(chat: Chat) -> bool:
    return bool(chat.messages) and chat.messages[0].is_from(ChatRole.SYSTEM)
