"""`ChatPanel`: a conversation in the output of a cell. The cell returns at once, and the panel goes on.

A turn is a task on the kernel's loop. It never prints or displays anything, for the cell that it came from has ended:
all that it shows goes through messages of one widget, and the saved output is kept readable as a transcript.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchat.chat import state as chat_state
from orchat.chat.history import pending_calls
from orchat.chat.money import Budget
from orchat.configuration import model_named
from orchat.connect import Chat
from orchat.errors import APIError, ConfigurationError, OrchatError, StateError, TurnInProgressError, redact
from orchat.jupyter.output.caption import line
from orchat.jupyter.panel import errands
from orchat.jupyter.panel.asking import Asking
from orchat.jupyter.panel.keeping import Keeping, State, bridge_of
from orchat.jupyter.panel.log import Log, ShownTurn
from orchat.jupyter.panel.picking import parameters_of, with_parameters
from orchat.jupyter.panel.saving import Kept, from_entry, note_of, to_entry
from orchat.jupyter.panel.turns import split_question, split_turns, transcript
from orchat.jupyter.panel.uploads import Uploads
from orchat.jupyter.running import CellError, in_kernel, pumping_comms, ticking
from orchat.jupyter.view.channel import WIDGET_MIME_TYPE, Channel
from orchat.jupyter.view.grants import GRANTS
from orchat.jupyter.view.live import _shows_widgets
from orchat.jupyter.view.questions import Questions
from orchat.messages import ChatMessage, ChatRole
from orchat.tools.toolset import flatten

if TYPE_CHECKING:
    from decimal import Decimal

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Decision, Policy
    from orchat.chat.conversation import Question
    from orchat.chat.reply import Reply
    from orchat.openrouter.generator import OpenRouterChatGenerator, Tools
    from orchat.tools import Tool

_log = logging.getLogger(__name__)
_FIRST_NAME = "chat"


class ChatPanel:
    """A chat in the output of a cell: as a cell's last line it shows itself.

    It streams while later cells run, asks about tool calls by forms, and keeps its conversation in the cell's metadata,
    so that it is there again when the cell is run after a restart. What is restored is data: who answers, tools and the
    policy of approval come from these arguments only.

    Parameters
    ----------
    generator_or_chat
        Who answers: a generator, a model's name, or a `Chat` to go on with. Default: the usual model.
    system, tools, approve, max_cost
        As for `Chat`.
    name
        By which the panel's conversation is found again; otherwise by its place among the panels of the cell.
    restore
        Whether to go on with what the cell keeps.
    height
        How tall the panel is, as CSS says it.
    state
        Where the conversation is kept: in the ``"cell"``, in a ``"file"`` beside the notebook, or nowhere (``"none"``).
    generation_kwargs
        As for `Chat`.

    Raises
    ------
    ConfigurationError
        A value makes no sense (a ValueError).

    Examples
    --------
    >>> panel = ChatPanel("vendor/m", system="Be brief.")
    >>> panel.chat.model, [message.text for message in panel.messages]
    ('vendor/m', ['Be brief.'])
    """

    def __init__(
        self,
        generator_or_chat: OpenRouterChatGenerator | Chat | str | None = None,
        system: str | None = None,
        tools: Tools | None = None,
        approve: Policy = "ask",
        *,
        name: str | None = None,
        restore: bool = True,
        height: str = "28rem",
        state: State = "cell",
        max_cost: float | Decimal | Budget | None = None,
        generation_kwargs: dict[str, Any] | None = None,
    ) -> None:
        if isinstance(generator_or_chat, Chat):
            first = generator_or_chat
            if system or tools is not None or max_cost is not None or generation_kwargs:
                raise ConfigurationError("A panel of a Chat takes system, tools and the like from that chat.")
        else:
            first = Chat(
                generator_or_chat, system, tools, approve, max_cost, generation_kwargs=generation_kwargs, show=False
            )
        if name is not None and (not name or line(name, 60) != name or name.isdigit()):
            raise ConfigurationError(f"name={name!r:.80} makes no sense.", hint="It is a short text, and no number.")
        self._shell = _shell()
        self._keeping = Keeping(self._shell, state, name)
        self._blank = first.fork()
        self._blank.reset()
        self._chats: dict[str, Chat] = {first.name or _FIRST_NAME: first}
        self._current = first.name or _FIRST_NAME
        self._log = Log(cell=self._can_insert)
        self._log.set(height=str(height)[:40], draft={"n": 0, "text": ""}, files=[], error=None, readonly=None, note="")
        self._uploads = Uploads()
        self._questions: dict[int, Questions] = {}
        self._observers: list[Callable[[Reply], object]] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.Task[Any] | None = None
        self._running: Asking | None = None
        self._failed: ChatMessage | None = None
        self._restored = False
        self._channel: Channel | None = None
        self._display_id = f"orchat-{uuid.uuid4().hex}"
        self._shown = False
        self._page_saves = False
        if restore and not split_turns(first.messages):
            self._restore()
        self._keeping.begin(self._entry, self._leave)
        self._show_all()
        if self._restored:
            self._wait_for_decisions()

    # -- for code -----------------------------------------------------------------------------------------------

    @property
    def chat(self) -> Chat:
        """The conversation that is shown."""
        return self._chats[self._current]

    @property
    def messages(self) -> list[ChatMessage]:
        """What was said in it."""
        return self.chat.messages

    @property
    def is_running(self) -> bool:
        """Whether a turn goes on."""
        return self._running is not None

    def __repr__(self) -> str:
        return f"ChatPanel({self.chat!r})"

    async def send(self, question: Question) -> Reply:
        """Ask, and show it in the panel.

        Parameters
        ----------
        question
            A text, a part or a list of them, or a user's message.

        Raises
        ------
        APIError
            The endpoint refused or failed; the panel shows that, too.
        TurnInProgressError
            A turn goes on.
        """
        from orchat.chat.conversation import _message

        async with ticking(), pumping_comms():
            try:
                return await self._ask(_message(question))
            except asyncio.CancelledError:
                raise CellError("interrupted; what had arrived is kept") from None

    def stop(self) -> None:
        """End the turn that goes on; what arrived is kept."""
        if self._running is not None:
            self._running.chat.stop()

    async def regenerate(self, model: str | None = None) -> Reply:
        """Ask the last question again.

        Parameters
        ----------
        model
            Another model, for this turn only.

        Raises
        ------
        ConfigurationError
            There is no question (a ValueError).
        """
        self._check_idle()
        before, turn = self.chat.messages, self._log.last
        if turn is None:
            raise ConfigurationError("There is no question to ask again.")
        self._take_back()
        options: dict[str, Any] = {"generation_kwargs": {"model": model_named(model)}} if model else {}
        try:
            return await self._ask(turn.question, **options)
        finally:
            if self._failed is not None and len(before) > len(self.chat.messages):
                self.chat.messages = before  # the earlier answer is better than none
                self._failed = None
                self._log.show(split_turns(before))
                self._changed(True)

    def undo(self) -> None:
        """Take the last turn back."""
        self._check_idle()
        self._take_back()
        self._changed(True)

    def new_chat(self, name: str | None = None) -> Chat:
        """Begin another conversation in the panel, with the system message and tools that the code set."""
        self._check_idle()
        number = len(self._chats) + 1
        while name is None or name in self._chats:
            name, number = f"{_FIRST_NAME} {number}", number + 1
        self._chats[name] = self._blank.fork(name)
        self.switch_chat(name)
        return self.chat

    def switch_chat(self, name: str) -> None:
        """Show another conversation of the panel.

        Raises
        ------
        ConfigurationError
            There is none of that name (a ValueError).
        """
        self._check_idle()
        if name not in self._chats:
            raise ConfigurationError(f"There is no chat {name!r:.80}.", hint=f"There are {', '.join(self._chats)}.")
        self._cancel_waiting()
        self._current, self._failed = name, None
        self._show_all()
        self._wait_for_decisions()
        self._changed(True)

    def refresh(self) -> None:
        """Show the conversation anew, after code has changed it."""
        self._check_idle()
        self._show_all()
        self._changed(True)

    def observe(self, function: Callable[[Reply], object]) -> Callable[[], None]:
        """Call a function with the reply whenever a turn has ended.

        Returns
        -------
        callable
            Ends that.
        """
        self._observers.append(function)

        def end() -> None:
            if function in self._observers:
                self._observers.remove(function)

        return end

    def close(self) -> None:
        """Stop what goes on, keep the conversation, and take the widget away; the transcript stays."""
        self._keeping.write()
        self._keeping.flush()
        self._leave()
        self._publish(update=True)

    # -- display ------------------------------------------------------------------------------------------------

    def _ipython_display_(self) -> None:
        if self._shell is None:
            print(transcript(self.messages)[1])  # noqa: T201 - there is nothing else to show it with
            return
        if self._channel is None and _shows_widgets(self._shell):
            self._channel = Channel("panel", self._log, lambda content: errands.run(self, content))
            self._log.set(widget=self._channel.bundle[WIDGET_MIME_TYPE]["model_id"])
            self._tell_where_soon()
        self._publish(update=False)
        self._shown = True

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, Any]:
        markdown, plain = transcript(self.messages, self._log.field("note"))
        bundle = self._channel.bundle if self._channel is not None else {}
        return {**bundle, "text/markdown": markdown or "*An empty chat.*", "text/plain": plain or "An empty chat."}

    def _publish(self, *, update: bool) -> None:
        if self._shell is not None and (not update or (self._shown and in_kernel(self._shell))):
            transient = {"display_id": self._display_id}
            self._shell.display_pub.publish(
                data=self._repr_mimebundle_(), metadata={}, transient=transient, update=update
            )

    def _refresh_output(self) -> None:
        """Let the saved output read as the conversation does.

        A page that takes care of that itself gets the transcript; drawing the widget anew would take the focus away.
        """
        if self._channel is None or not self._channel.ready:
            self._publish(update=True)
        else:
            bundle = self._repr_mimebundle_()
            self._log.set(saved={kind: bundle[kind] for kind in ("text/markdown", "text/plain")})

    def _show_all(self) -> None:
        self._log.show(split_turns(self.messages))
        self._uploads.clear()
        self._log.set(files=[], error=None, running=False)
        self._show_facts()
        self._refresh_output()

    def _show_facts(self) -> None:
        chat = self.chat
        system = chat.messages[0].text if chat.messages and chat.messages[0].is_from(ChatRole.SYSTEM) else ""
        self._log.set(
            model=line(chat.model or model_named(None), 200),
            parameters=parameters_of(chat.generation_kwargs),
            system=system or "",
            chats=list(self._chats),
            chat=self._current,
            cost=str(sum((each.cost for each in self._chats.values()), type(chat.cost)())),
            where=self._keeping.where,
            grants=list(GRANTS),
            cell=self._can_insert,
        )

    def _show_soon(self) -> None:
        if self._channel is not None:
            self._channel.changed()

    def _changed(self, keep: bool) -> None:
        if keep:
            self._keeping.write()
            self._show_facts()
        self._show_soon()

    def _tell_where_soon(self) -> None:
        async def tell() -> None:
            if self._shell is not None:
                await bridge_of(self._shell).hello(3.0)
            self._changed(False)
            self._show_facts()
            self._show_soon()

        self._background(tell())

    # -- a turn -------------------------------------------------------------------------------------------------

    async def _ask(
        self, question: ChatMessage | dict[str, Decision], turn: ShownTurn | None = None, **options: Any
    ) -> Reply:
        from orchat.chat.streams import AsyncChatStream

        self._check_idle()
        chat = self.chat
        self._cancel_waiting()
        if isinstance(question, ChatMessage):
            self._tell_what_is_gone()
            if self._failed is not None and (last := self._log.last) is not None:
                self._log.drop(last)
            turn = self._log.begin(question)
        assert turn is not None
        assert turn.feed is not None
        self._failed = None
        self._log.set(error=None, running=True, saved=None)
        questions = self._questions[turn.key] = Questions(turn.feed, self._show_soon)
        turn.feed.may(stop=False, cell=self._can_insert)
        model = (options.get("generation_kwargs") or {}).get("model") or chat.model or model_named(None)
        asking = Asking(chat, turn.feed, questions, self._channel, str(model), self._changed)
        self._running = asking
        asked = _questions_in(chat)
        try:
            reply = await AsyncChatStream(chat, question, options, asking).drain()
        except BaseException as error:
            if asking.reply is None:
                turn.feed.end("", "failed")
            if isinstance(question, ChatMessage) and _questions_in(chat) == asked:
                self._failed = question
            self._show_error(error)
            raise
        finally:
            self._questions.pop(turn.key, None)
            self._running = None
            self._log.set(running=False)
            self._changed(True)
            self._refresh_output()
            self._show_soon()
            if asking.reply is not None:
                self._tell_observers(asking.reply)
        if reply.pending:
            self._wait_for_decisions()
        return reply

    def _show_error(self, error: BaseException) -> None:
        if not isinstance(error, Exception):
            return
        title = type(error).__name__
        text, hint = str(error), ""
        if isinstance(error, OrchatError):
            text, hint = error.message, error.hint or ""
        if isinstance(error, APIError):
            title = " · ".join(str(each) for each in (title, error.status_code, error.provider_name) if each)
        self._log.set(error={"title": line(title), "text": line(redact(text), 600), "hint": line(redact(hint), 300)})

    def _tell_observers(self, reply: Reply) -> None:
        for observer in list(self._observers):
            try:
                observer(reply)
            except Exception:  # noqa: BLE001 - an observer's mistake ends no turn
                _log.exception("An observer of a chat panel failed")

    def _check_idle(self) -> None:
        if self._running is not None:
            raise TurnInProgressError("The panel is busy with another turn.", hint="Wait for it, or stop() it.")

    def _take_back(self) -> None:
        self._cancel_waiting()
        turn = self._log.last
        if turn is None:
            return
        if self._failed is None:
            self.chat.undo()
        self._failed = None
        self._log.drop(turn)
        self._log.set(error=None)

    # -- calls that wait ----------------------------------------------------------------------------------------

    def _wait_for_decisions(self) -> None:
        """Show the calls of a parked turn as forms, and go on when a person has decided about all of them."""
        self._cancel_waiting()
        turn, calls = self._log.last, pending_calls(self.chat.messages)
        if not calls or turn is None or turn.feed is None:
            return
        tools = self._tools()
        gone = sorted({line(call.tool_name, 80) for call in calls if call.tool_name not in tools})
        if gone:
            self._log.set(
                error={
                    "title": f"Waits for a tool that is not there: {', '.join(gone)}",
                    "text": "The call cannot run.",
                    "hint": "Define the tool and run the cell again, or go on with another question.",
                }
            )
            return
        questions = self._questions[turn.key] = Questions(turn.feed, self._show_soon)

        async def wait() -> None:
            decisions = await asyncio.gather(*(questions.ask(call, tools[call.tool_name]) for call in calls))
            self._waiting = None
            self._background(self._ask({str(call.id): each for call, each in zip(calls, decisions, strict=True)}, turn))

        self._waiting = self._background(wait())

    def _cancel_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _decide(self, content: dict[str, Any]) -> None:
        questions = self._questions.get(content["k"]) if isinstance(content.get("k"), int) else None
        if questions is not None:
            questions.take(content)
        elif content["t"] == "revoke":
            GRANTS.revoke(str(content.get("name")))
        self._log.set(grants=list(GRANTS))

    def _tools(self) -> dict[str, Tool]:
        chat = self.chat
        generator = chat._generator  # as it is: asking for one would connect
        tools = generator.tools if chat.tools is None and generator is not None else chat.tools
        return {tool.name: tool for tool in flatten(tools)}

    def _tell_what_is_gone(self) -> None:
        """Tell the model once, with the first question after a restart, what it cannot count on any more."""
        if not self._restored:
            return
        self._restored = False
        used = {call.tool_name for message in self.messages for call in message.tool_calls}
        if not used:
            return
        words = "The notebook's kernel has been restarted: what earlier tool calls left in its memory is gone."
        if gone := sorted(used - set(self._tools())):
            words += f" These tools are not there any more: {', '.join(gone)}."
        self.chat.messages = [*self.messages, ChatMessage.from_system(words)]

    # -- what a page asks for -----------------------------------------------------------------------------------

    def _background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        try:
            task = asyncio.get_running_loop().create_task(_quietly(work))
        except RuntimeError:  # no loop: nobody looks on either
            work.close()
            return None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _send_draft(self, text: str) -> None:
        if self.is_running or self._log.field("readonly") or self._uploads.unfinished:
            return
        parts = self._uploads.parts
        if not text.strip() and not parts:
            return
        words = [text] if text.strip() else []
        self._uploads.clear()
        self._set_draft("")
        self._log.set(files=[])
        self._background(self._ask(ChatMessage.from_user(content_parts=[*parts, *words])))

    def _set_draft(self, text: str) -> None:
        number = (self._log.field("draft") or {"n": 0})["n"]
        self._log.set(draft={"n": number + 1, "text": text})

    def _edit(self) -> None:
        if (turn := self._log.last) is None:
            return
        words, files = split_question(turn.question)
        self._take_back()
        self._uploads.add(files)
        self._set_draft(words)
        self._log.set(files=self._uploads.shown)
        self._changed(True)

    def _pick(self, model: str) -> None:
        self.chat.model = model_named(model) if model else None
        self._changed(True)

    def _set_parameters(self, content: dict[str, Any]) -> None:
        try:
            self.chat.generation_kwargs = with_parameters(self.chat.generation_kwargs, content)
        except ConfigurationError as error:
            self._show_error(error)
        self._changed(True)

    def _set_system(self, text: str) -> None:
        said = self.messages[1:] if self.messages and self.messages[0].is_from(ChatRole.SYSTEM) else self.messages
        self.chat.messages = [ChatMessage.from_system(text), *said] if text.strip() else said
        self._changed(True)

    def _export(self, *, to_cell: bool, number: object) -> None:
        text = self.chat.export_markdown()
        if to_cell:
            self._to_cell("%%markdown\n" + text)
        elif isinstance(number, int):
            self._log.set(exported={"n": number, "text": text})

    @property
    def _can_insert(self) -> bool:
        known = self._shell is not None and self._keeping.cell_id is not None
        return known and bridge_of(self._shell).status not in ("absent", "mismatch")  # type: ignore[arg-type]

    def _to_cell(self, code: str) -> None:
        if self._shell is not None and self._keeping.cell_id is not None:
            bridge_of(self._shell).insert_cell(self._keeping.cell_id, code)

    # -- keeping ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        try:
            found = self._keeping.found()
            if found is None:
                return
            kept = from_entry(found)
        except StateError as error:
            self._keeping.hold()
            discard = self._keeping.may_be_released
            self._log.set(readonly={"text": line(f"{error.message} {error.hint or ''}", 400), "discard": discard})
            return
        given = self.chat
        self._chats = {}
        for name, saved in kept.chats.items():
            chat = given if name == kept.current else self._blank.fork(name)
            chat.messages = saved.messages
            if saved.model:
                chat.model = saved.model
            chat.generation_kwargs = {**chat.generation_kwargs, **saved.parameters}
            self._chats[name] = chat
        self._current = kept.current
        self._restored = True
        self._log.set(note=note_of(kept.left_out))

    def _discard(self) -> None:
        self._keeping.release()
        self._log.set(readonly=None)
        self._changed(True)

    def _entry(self) -> dict[str, Any] | None:
        saved = {}
        secrets: list[str] = []
        for name, chat in self._chats.items():
            running = self._running if self._running is not None and self._running.chat is chat else None
            messages = chat.messages if running is None else running.messages()
            own = {
                key: value
                for key, value in chat.generation_kwargs.items()
                if self._blank.generation_kwargs.get(key) != value
            }
            model = chat.model if chat.model != self._blank.model else None
            saved[name] = chat_state.Saved(messages, None, model, own)
            secrets += chat_state.secrets_of(chat._generator)
        kept = Kept(saved, self._current)
        if kept.is_empty:
            return None
        entry = to_entry(kept, secrets=secrets)
        self._log.set(note=note_of(kept.left_out))
        return entry

    def _leave(self) -> None:
        """Make room for the panel that takes this one's place."""
        self.stop()
        self._cancel_waiting()
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()


async def _quietly(work: Coroutine[Any, Any, Any]) -> Any:
    """Await what nobody waits for: the panel has shown its error."""
    with suppress(OrchatError):
        try:
            return await work
        except OrchatError:
            raise
        except Exception:  # noqa: BLE001 - shown by the panel; nobody else hears of it
            _log.exception("A chat panel's task failed")
    return None


def _questions_in(chat: Chat) -> int:
    return sum(message.is_from(ChatRole.USER) for message in chat.messages)


def _shell() -> InteractiveShell | None:
    from IPython.core.getipython import get_ipython

    return get_ipython()
