"""A turn of a cell: ask with what was said before, show it as it arrives, keep what came of it.

Whatever happens, what arrived is shown, kept and bound to its variable before the cell ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orchat.configuration import resolve_model_alias, setting
from orchat.errors import OrchatError
from orchat.jupyter.kernel.cell_sink import CellSink, display_for
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.coroutine_runner import CellError, runs_on_private_loop
from orchat.jupyter.kernel.output.answer_formats import cell_code
from orchat.jupyter.kernel.output.error_card import error_line
from orchat.jupyter.kernel.output.live_display import LiveDisplay
from orchat.jupyter.magic.option_parser import MAGIC
from orchat.jupyter.magic.turn_request import PromptRequest, TurnRequest, connect_generator, request_fingerprint
from orchat.jupyter.magic.turn_storage import TurnStorage

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.approval import Decisions
    from orchat.chat.money import Cost
    from orchat.chat.reply import Ending, Reply
    from orchat.jupyter.kernel.cell_sink import Display
    from orchat.jupyter.kernel.conversations.notebook_conversations import CellTurn, NotebookConversation
    from orchat.jupyter.magic.magic_session import MagicSession
    from orchat.messages import ChatMessage
    from orchat.streaming import StreamingChunk

_WAITS = f"A tool call waits: %{MAGIC} approve lets it run, %{MAGIC} reject does not, and the conversation goes on."


class CellTurnRunner:
    """One turn, from the question to what is kept of it.

    Parameters
    ----------
    session
        The shell's conversations.
    options
        What the line said.
    """

    def __init__(self, session: MagicSession, options: Namespace) -> None:
        self._session = session
        self._options = options
        self._model = resolve_model_alias(options.model)
        self._asking: TurnRequest | None = None
        self._chat: Chat | None = None
        self._cell = current_cell(session.shell)
        self._keeping = TurnStorage(session.shell)
        self._display = display_for(session.shell, options.format, stopped=self._stop, to_cell=self._to_cell)
        self._body: Mapping[str, Any] = {}
        self._recorded: Callable[[list[ChatMessage], str], dict[str, Any]] | None = None

    async def question(self, request: PromptRequest, source: str | None) -> Reply:
        """Ask a question.

        Parameters
        ----------
        request
            What is asked.
        source
            The prompt as it stands in the cell; None where it does not.

        Raises
        ------
        CellError
            The turn was interrupted or failed; everything is shown and kept.
        """
        from orchat.chat.message_selection import messages_to_send, skip_pending_calls

        opening = self._session.opening(self._options)
        thread = opening.thread

        async def ask() -> None:
            chat = await connect_generator(request, opening.messages, thread.session, self._options)
            question = request.question()
            self._body = chat.generator.request_body(
                messages_to_send([*skip_pending_calls(chat.messages), question], chat.generator.model),
                tools=list(request.tools),
                stream=not self._options.no_stream,
            )
            # What is not remembered cannot go on later: calls that nobody can decide about here are rejected.
            await self._turn(chat, question, parks=opening.remembers)

        sent = [*request.sent, opening.history]
        return await self._watched(ask, opening.turn, thread if opening.remembers else None, sent, source)

    async def decisions(self, thread: NotebookConversation, turn: CellTurn, chat: Chat, decided: Decisions) -> Reply:
        """Go on with a turn whose tool calls waited for a decision."""
        history = thread.history(turn, int(setting("history_tokens")))
        chat.messages = [*history.messages, *turn.messages]
        self._model = chat.model or self._model
        return await self._watched(lambda: self._turn(chat, decided), turn, thread, [history], None)

    def _to_cell(self, code: str) -> None:
        """Put code that a person wants below this cell, now where the page can do that, else when the cell ends."""
        bridge = self._session.bridge
        if bridge.status == "open" and self._cell.id is not None:
            bridge.insert_cell(self._cell.id, code)
        else:
            self._session.shell.set_next_input(code)

    def _show_to_new_pages(self) -> None:
        """Let pages that were loaded while the cell ran have its output."""
        display = self._display
        if isinstance(display, LiveDisplay) and display.final is not None and self._cell.id is not None:
            self._session.bridge.set_output(self._cell, display.final, display_id=display.id)

    def _stop(self) -> None:
        if self._asking is not None:
            self._asking.stop()

    async def _turn(self, chat: Chat, question: ChatMessage | Decisions, *, parks: bool = True) -> None:
        sink = _RecordingSink(self._session.shell, self._display, self._model, self._checkpoint)
        self._chat = chat
        self._asking = TurnRequest(chat, question, sink, streams=not self._options.no_stream, parks=parks)
        await self._asking.done()

    async def _watched(
        self, ask: Any, turn: CellTurn, thread: NotebookConversation | None, sent: list[object], source: str | None
    ) -> Reply:
        from orchat.chat.message_selection import pending_calls

        started = time.monotonic()
        earlier = len(_costs(turn.messages))  # of a turn that goes on, these are counted already
        continued = earlier > 0
        ending: Ending = "finished"
        failure: BaseException | None = None
        greeting = None
        if thread is not None:
            self._recorded = partial(self._record_of, turn, thread, source, continued=continued)
        try:
            self._display.start(self._model)
            if self._cell.id is not None:  # so that it is known in the end whether the page can do what we ask
                greeting = asyncio.ensure_future(self._keeping.ask_page())
            await ask()
            if greeting is not None and not runs_on_private_loop():
                await greeting
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            ending, failure = "interrupted", error
        except Exception as error:  # noqa: BLE001 - raised again below, when everything is kept
            ending, failure = "failed", error
        if greeting is not None:
            greeting.cancel()
        reply = self._reply(ending)
        if thread is not None:
            thread.add_turn(turn, reply.messages)
            thread.cost = sum(_costs(reply.messages)[earlier:], thread.cost)
            if pending_calls(turn.messages) and self._chat is not None:
                self._session.chats[turn] = self._chat
            else:
                self._session.chats.pop(turn, None)
        if self._options.out:
            self._session.shell.user_ns[self._options.out] = reply
        known = failure if isinstance(failure, OrchatError) else None
        self._display.end(
            reply,
            time.monotonic() - started,
            model=self._model,
            error=known,
            sent=sent,
            record=lambda plain: self._record(turn, thread, plain),
        )
        self._show_to_new_pages()
        self._tell(_WAITS if thread is not None and reply.pending else "")
        if ending == "interrupted":
            raise CellError("interrupted; what arrived is kept") from failure
        if known is not None and not self._options.debug:
            raise CellError(error_line(known)) from known
        if failure is not None:
            if known is not None:
                known.shows_whole_traceback = True
            raise failure
        self._session.shown(reply)
        if self._options.format == "code" and (code := cell_code(reply.text)):
            self._session.shell.set_next_input(code)
        return reply

    def _tell(self, step: str) -> None:
        """Tell beside the answer what a person should know, each once."""
        self._keeping.hint()
        for note in (self._keeping.note, step):
            if note and note not in self._session.told:
                self._session.told.add(note)
                print(f"{MAGIC}: {note}", file=sys.stderr)  # noqa: T201 - that is telling

    def _reply(self, ending: Ending) -> Reply:
        """Return what has arrived, stamped with how it ended when it is not whole."""
        from orchat.chat.reply import Reply
        from orchat.messages import ChatMessage

        if self._asking is not None and self._asking.reply.messages:
            return self._asking.reply
        stamp = {} if ending == "finished" else {"ending": ending}
        return Reply(ChatMessage.from_assistant(None, stamp), ending=ending)

    def _record(self, turn: CellTurn, thread: NotebookConversation | None, plain: str) -> dict[str, Any]:
        """Return what the output keeps: with what it was asked, and what the turn can be rebuilt from."""
        kept: dict[str, Any] = {}
        if self._body:
            content = {"model", "messages", "tools", "stream", "n", "response_format"}
            kept["parameters"] = {name: value for name, value in self._body.items() if name not in content}
            kept["request"] = request_fingerprint(self._body)
        if thread is None:
            self._keeping.forget()
            return kept
        recorded = self._recorded
        assert recorded is not None
        if turn.messages and (data := self._keeping.put(lambda: recorded(turn.messages, plain))):
            kept["turn"] = data
        return kept

    def _record_of(
        self,
        turn: CellTurn,
        thread: NotebookConversation,
        source: str | None,
        messages: list[ChatMessage],
        plain: str,
        **about: bool,
    ) -> dict[str, Any]:
        """Return what a turn with these messages can be rebuilt from."""
        from orchat.chat.state import secrets_of
        from orchat.jupyter.kernel.conversations.turn_serialization import encode_turn

        said = replace(turn, messages=messages)
        secrets = secrets_of(self._chat.generator if self._chat is not None else None)
        return encode_turn(said, thread.name, source, plain, secrets=secrets, cell=self._keeping.cell, **about)

    def _checkpoint(self) -> None:
        """Keep what has arrived, for this kernel may end before the answer does."""
        recorded, asking = self._recorded, self._asking
        if recorded is not None and asking is not None:
            self._keeping.checkpoint(lambda: recorded(asking.messages, ""))


def _costs(messages: Iterable[ChatMessage]) -> list[Cost]:
    """Return what each answer was charged."""
    from orchat.chat.money import Cost

    return [Cost.of(message.meta.get("usage")) for message in messages if message.is_from("assistant")]


class _RecordingSink(CellSink):
    """Shows a turn that somebody else brings to its end, and says when something has arrived."""

    def __init__(self, shell: InteractiveShell, display: Display, model: str, arrived: Callable[[], None]) -> None:
        super().__init__(shell, display, model)
        self._arrived = arrived

    def add(self, chunk: StreamingChunk) -> None:
        """Show what arrived."""
        super().add(chunk)
        self._arrived()

    def start(self, question: ChatMessage | None) -> None:
        """Do nothing: it has been said already that an answer is on its way."""

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Do nothing: it is shown when everything is kept."""
