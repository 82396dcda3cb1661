"""The chats of a panel: which one is shown, what may be set of it, and what is kept of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from orchat.chat import state
from orchat.chat.money import Cost
from orchat.configuration import resolve_model_alias
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.kernel.variable_tools.conversation_variables import conversation_variables
from orchat.jupyter.panel.model_picker import merge_parameters, shown_parameters
from orchat.jupyter.panel.panel_serialization import PanelSnapshot
from orchat.messages import ChatMessage, ChatRole
from orchat.tools.toolset import flatten

if TYPE_CHECKING:
    from orchat.chat import Chat
    from orchat.tools import Tool

FIRST = "chat"
_MOST_NAMES = 40  # variables of which a model is told that they are gone


class PanelConversations:
    """Named chats that share tools, policy and budget, which the code set.

    Parameters
    ----------
    first
        The chat that the code made; new ones begin as it does.

    Examples
    --------
    >>> from orchat.chat import Chat
    >>> chats = PanelConversations(Chat(None, "Be brief."))
    >>> chats.begin().name, chats.names, [message.text for message in chats.shown.messages]
    ('chat 2', ['chat', 'chat 2'], ['Be brief.'])
    """

    def __init__(self, first: Chat) -> None:
        self._blank = first.fork()
        self._blank.reset()
        self.current = single_line(first.name or "", 60) or FIRST
        self._chats = {self.current: first}
        self._restored = False

    @property
    def shown(self) -> Chat:
        """The one that is shown."""
        return self._chats[self.current]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return list(self._chats)

    @property
    def model(self) -> str:
        """Who is asked in the one that is shown."""
        return self.shown.model or resolve_model_alias(None)

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools of the one that is shown, by name."""
        chat = self.shown
        generator = chat._generator  # as it is: asking for one would connect
        return {
            tool.name: tool
            for tool in flatten(generator.tools if chat.tools is None and generator is not None else chat.tools)
        }

    def facts(self) -> dict[str, Any]:
        """Return what a page shows of them."""
        chat = self.shown
        return {
            "model": single_line(self.model, 200),
            "parameters": shown_parameters(chat.generation_kwargs),
            "system": (chat.messages[0].text or "") if _has_system(chat) else "",
            "chats": self.names,
            "chat": self.current,
            "cost": str(sum((each.cost for each in self._chats.values()), Cost())),
        }

    # -- what people choose -------------------------------------------------------------------------------------

    def begin(self, name: str | None = None) -> Chat:
        """Begin another one, and show it; a name that is taken or missing is made."""
        number = len(self._chats) + 1
        while not name or name in self._chats:
            name, number = f"{FIRST} {number}", number + 1
        self._chats[name] = self._blank.fork(name)
        self.current = name
        return self.shown

    def switch(self, name: str) -> None:
        """Show another one.

        Raises
        ------
        ConfigurationError
            There is none of that name (a ValueError).
        """
        if name not in self._chats:
            raise ConfigurationError(f"There is no chat {name!r:.80}.", hint=f"There are {', '.join(self._chats)}.")
        self.current = name

    def pick(self, model: str) -> None:
        """Ask another model from now on; an empty name stands for the usual one."""
        self.shown.model = resolve_model_alias(model) if model else None

    def set_parameters(self, wanted: Mapping[str, Any]) -> None:
        """Set what `orchat.jupyter.panel.model_picker.merge_parameters` knows."""
        self.shown.generation_kwargs = merge_parameters(self.shown.generation_kwargs, wanted)

    def set_system(self, text: str) -> None:
        """Set the system message; an empty one is none."""
        chat = self.shown
        said = chat.messages[1:] if _has_system(chat) else chat.messages
        chat.messages = [ChatMessage.from_system(text), *said] if text.strip() else said

    # -- keeping ------------------------------------------------------------------------------------------------

    def restore(self, kept: PanelSnapshot) -> None:
        """Go on with what was kept: it sets words, models and parameters, everything else stays as the code said."""
        given, self._chats = self.shown, {}
        for name, saved in kept.chats.items():
            chat = given if name == kept.current else self._blank.fork(name)
            chat.messages = saved.messages
            if saved.model:
                chat.model = saved.model
            chat.generation_kwargs = {**chat.generation_kwargs, **saved.parameters}
            self._chats[name] = chat
        self.current, self._restored = kept.current, True

    def kept(self, messages_of: Callable[[Chat], list[ChatMessage]]) -> tuple[PanelSnapshot, list[str]]:
        """Return what is to be kept, and the secrets that must not be in it.

        Parameters
        ----------
        messages_of
            Gives a chat's messages as they stand, also while a turn goes on.
        """
        chats, secrets = {}, []
        for name, chat in self._chats.items():
            # What the code says it says again when the cell is run again.
            usual = self._blank.generation_kwargs
            own = {key: value for key, value in chat.generation_kwargs.items() if usual.get(key) != value}
            model = chat.model if chat.model != self._blank.model else None
            chats[name] = state.ChatState(messages_of(chat), None, model, own)
            secrets += state.secrets_of(chat._generator)
        return PanelSnapshot(chats, self.current), secrets

    def tell_what_is_gone(self, variables: Mapping[str, Any]) -> None:
        """Tell the model once, with the first question after a restart, what it cannot count on any more.

        Parameters
        ----------
        variables
            The user's, as they are now.
        """
        if not self._restored:
            return
        self._restored = False
        messages = self.shown.messages
        calls = [call for message in messages for call in message.tool_calls]
        if not calls:
            return
        words = "This conversation goes on in another run: what earlier tool calls left in memory may be gone."
        if gone := sorted({call.tool_name for call in calls} - set(self.tools)):
            words += f" These tools are not there any more: {', '.join(gone)}."
        ran = [result.origin for message in messages for result in message.tool_call_results if not result.error]
        if gone := sorted(conversation_variables(ran) - set(variables)):
            more = f" and {len(gone) - _MOST_NAMES} more" if len(gone) > _MOST_NAMES else ""
            words += f" These variables are not there any more: {', '.join(gone[:_MOST_NAMES])}{more}."
        self.shown.messages = [*messages, ChatMessage.from_system(words)]


def _has_system(chat: Chat) -> bool:
    return bool(chat.messages) and chat.messages[0].is_from(ChatRole.SYSTEM)
