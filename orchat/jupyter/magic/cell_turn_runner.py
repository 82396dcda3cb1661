"""Run one turn in a cell: send it with the conversation's history, stream the answer, persist the turn.

However the turn ends, the response so far is shown, persisted and bound to its variable before the cell ends.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from orchat.configuration import resolve_model_alias, setting
from orchat.errors import OrchatError
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.conversations.notebook_conversations import DEFAULT_CONVERSATION
from orchat.jupyter.kernel.coroutine_runner import CellError
from orchat.jupyter.kernel.live_view.cell_sink import CellSink, display_for
from orchat.jupyter.kernel.live_view.turn_clock import TurnClock
from orchat.jupyter.kernel.output.answer_formats import cell_code
from orchat.jupyter.kernel.output.error_card import error_line
from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.live_display import LiveDisplay
from orchat.jupyter.magic.conversation_restore import count_earlier_turns, restore_session
from orchat.jupyter.magic.option_parser import MAGIC
from orchat.jupyter.magic.turn_request import PromptRequest, TurnRequest, connect_generator, request_fingerprint
from orchat.jupyter.magic.turn_storage import TurnStorage
from orchat.private_event_loop import runs_on_private_loop

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.approval import Decisions
    from orchat.chat.money import Cost
    from orchat.chat.reply import Ending, Reply
    from orchat.jupyter.kernel.conversations.notebook_conversations import CellTurn, NotebookConversation
    from orchat.jupyter.kernel.live_view.cell_sink import Display
    from orchat.jupyter.magic.magic_session import MagicSession
    from orchat.messages import ChatMessage, ImageContent
    from orchat.streaming import StreamingChunk

_NO_CODE = "the answer holds no Python code, so that no cell is proposed."
_APPROVAL_HINT = (
    f"A tool call waits: %{MAGIC} approve lets it run, %{MAGIC} reject does not, and the conversation goes on."
)


class CellTurnRunner:
    """Run one turn of a cell, from the user's message to its record in cell storage.

    Parameters
    ----------
    session
        The state that the shell's magics share.
    options
        The parsed options of the magic's line.
    fixes
        The execution numbers of the cells of which one is to be corrected; a page offers to replace it.
    """

    def __init__(self, session: MagicSession, options: Namespace, *, fixes: Sequence[int] = ()) -> None:
        self._session = session
        self._options = options
        self._fixes = list(fixes)
        self._model = resolve_model_alias(options.model)
        self._turn_request: TurnRequest | None = None
        self._chat: Chat | None = None
        self._cell = current_cell(session.shell)
        self._storage = TurnStorage(session.shell)
        self._display = display_for(
            session.shell,
            options.format,
            on_stop=self._stop,
            on_new_cell=self._insert_cell,
            offers_tools=bool(options.tool),
            fixes=self._fixes,
        )
        self._request_body: Mapping[str, Any] = {}
        self._encode_record: Callable[..., dict[str, Any]] | None = None
        self._earlier_turns: asyncio.Future[int] | None = None
        self._clock = TurnClock()

    async def ask(self, request: PromptRequest, source: str | None) -> Reply:
        """Run a new turn with a user's message.

        Parameters
        ----------
        request
            The message and the parameters of its request.
        source
            The prompt as written in the cell; None where the cell does not hold it.

        Raises
        ------
        CellError
            The turn was interrupted or failed; the response so far is shown and persisted.
        """
        from orchat.chat.message_selection import messages_to_send, skip_pending_calls

        await self._look_for_earlier_turns()
        start = self._session.conversation_start(self._options)
        conversation = start.conversation

        async def ask() -> None:
            chat = await connect_generator(request, start.messages, conversation.session, self._options)
            question = request.question()
            self._request_body = chat.generator.request_body(
                messages_to_send([*skip_pending_calls(chat.messages), question], chat.generator.model),
                tools=list(request.tools),
                stream=not self._options.no_stream,
            )
            # What is not remembered cannot go on later: calls that nobody can decide about here are rejected.
            await self._run_turn(chat, question, parks=start.remembers)

        sent = [*request.sent_values, start.history]
        return await self._run_and_persist(ask, start.turn, conversation if start.remembers else None, sent, source)

    async def _look_for_earlier_turns(self) -> None:
        """After a restart of the kernel, restore the conversation's earlier turns or start to count them, as is set."""
        options, name = self._options, self._options.chat or DEFAULT_CONVERSATION
        if name in self._session.conversations or options.new or options.no_history or self._cell.id is None:
            return
        match setting("restore"):
            case "ask":
                count = count_earlier_turns(self._session, name, self._cell.id)
                self._earlier_turns = asyncio.ensure_future(count)
            case "auto":
                if await count_earlier_turns(self._session, name, self._cell.id):
                    await restore_session(self._session, None)

    async def _note_earlier_turns(self) -> str:
        if self._earlier_turns is None or not (count := await self._earlier_turns):
            return ""
        turns, were, them = ("turn", "was", "it") if count == 1 else ("turns", "were", "them")
        return f"{count} earlier {turns} of this notebook {were} not sent: %{MAGIC} restore brings {them} back."

    async def resume(self, conversation: NotebookConversation, turn: CellTurn, chat: Chat, decided: Decisions) -> Reply:
        """Resume a parked turn with the decisions about its tool calls."""
        history = conversation.history(turn, int(setting("history_tokens")))
        chat.messages = [*history.messages, *turn.messages]
        self._model = chat.model or self._model
        return await self._run_and_persist(lambda: self._run_turn(chat, decided), turn, conversation, [history], None)

    def _insert_cell(self, code: str) -> None:
        """Insert code below this cell: at once where the page can do it, else when the cell ends."""
        bridge = self._session.bridge
        if bridge.status == "open" and self._cell.id is not None:
            bridge.insert_cell(self._cell.id, code)
        else:
            self._session.shell.set_next_input(code)

    def _update_new_pages(self) -> None:
        """Send the final output to pages that were loaded while the cell ran."""
        display = self._display
        if isinstance(display, LiveDisplay) and display.final is not None and self._cell.id is not None:
            self._session.bridge.set_output(self._cell, display.final, display_id=display.id)

    def _stop(self) -> None:
        if self._turn_request is not None:
            self._turn_request.stop()

    async def _run_turn(self, chat: Chat, question: ChatMessage | Decisions, *, parks: bool = True) -> None:
        sink = _RecordingSink(self._session.shell, self._display, self._model, self._checkpoint)
        sink.clock = self._clock
        self._chat = chat
        self._turn_request = TurnRequest(chat, question, sink, streams=not self._options.no_stream, parks=parks)
        try:
            await self._turn_request.wait()
        finally:
            self._storage.end_checkpoints()

    async def _run_and_persist(
        self,
        ask: Any,
        turn: CellTurn,
        conversation: NotebookConversation | None,
        sent: list[object],
        source: str | None,
    ) -> Reply:
        from orchat.chat.message_selection import pending_calls

        self._clock = TurnClock()
        earlier_costs = len(_costs(turn.messages))  # of a turn that goes on, these are counted already
        continued = earlier_costs > 0
        ending: Ending = "finished"
        failure: BaseException | None = None
        page_query: asyncio.Future[None] | None = None
        earlier_turns_note = ""
        if conversation is not None:
            self._encode_record = partial(self._encode_turn, turn, conversation, source, continued=continued)
        try:
            self._display.start(self._model)
            if self._cell.id is not None:  # so that it is known in the end whether the page can do what we ask
                page_query = asyncio.ensure_future(self._storage.check_page())
            await ask()
            if page_query is not None and not runs_on_private_loop():
                await page_query
            earlier_turns_note = await self._note_earlier_turns()
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            ending, failure = "interrupted", error
        except Exception as error:  # noqa: BLE001 - raised again below, when everything is kept
            ending, failure = "failed", error
        for query in (page_query, self._earlier_turns):
            if query is not None:
                query.cancel()
        reply = self._current_reply(ending)
        if conversation is not None:
            conversation.add_turn(turn, reply.messages)
            conversation.cost = sum(_costs(reply.messages)[earlier_costs:], conversation.cost)
            if pending_calls(turn.messages) and self._chat is not None:
                self._session.chats_by_turn[turn] = self._chat
            else:
                self._session.chats_by_turn.pop(turn, None)
        if self._options.out:
            self._session.shell.user_ns[self._options.out] = reply
        orchat_error = failure if isinstance(failure, OrchatError) else None
        self._display.end(
            reply,
            self._clock.seconds,
            model=self._model,
            error=orchat_error,
            sent=sent,
            record=lambda plain: self._output_extras(turn, conversation, plain, reply.images),
        )
        self._update_new_pages()
        self._print_notes(earlier_turns_note, _APPROVAL_HINT if conversation is not None and reply.pending else "")
        if ending == "interrupted":
            raise CellError("interrupted; what arrived is kept") from failure
        if orchat_error is not None and not self._options.debug:
            # Programs that run notebooks show this line alone.
            is_told = self._cell.id is not None or not isinstance(self._display, LiveDisplay)
            raise CellError(error_line(orchat_error), is_told=is_told) from orchat_error
        if failure is not None:
            if orchat_error is not None:
                orchat_error.shows_whole_traceback = True
            raise failure
        self._session.mark_reply_shown(reply)
        self._propose_code(reply)
        return reply

    def _propose_code(self, reply: Reply) -> None:
        """Propose the code of an answer as the next cell, with ``-f code``."""
        if self._options.format != "code" or reply.pending:
            return
        if code := cell_code(reply.text):
            self._session.shell.set_next_input(code)
        else:
            print(f"{MAGIC}: {_NO_CODE}", file=sys.stderr)  # noqa: T201 - else -f code would seem to do nothing

    def _print_notes(self, *notes: str) -> None:
        """Print notes for the user on stderr, each once per session, and a warning each time."""
        self._storage.note_missing_extension()
        if self._storage.warning:
            print(f"{MAGIC}: {self._storage.warning}", file=sys.stderr)  # noqa: T201 - that is telling
        for note in (self._storage.note, *notes):
            if note and note not in self._session.printed_notes:
                self._session.printed_notes.add(note)
                print(f"{MAGIC}: {note}", file=sys.stderr)  # noqa: T201 - that is telling

    def _current_reply(self, ending: Ending) -> Reply:
        """Return the response so far as a reply, stamped with its ending when it is incomplete."""
        from orchat.chat.reply import Reply
        from orchat.messages import ChatMessage

        if self._turn_request is not None and self._turn_request.reply.messages:
            return self._turn_request.reply
        stamp = {} if ending == "finished" else {"ending": ending}
        return Reply(ChatMessage.from_assistant(None, stamp), ending=ending)

    def _output_extras(
        self, turn: CellTurn, conversation: NotebookConversation | None, plain: str, images: Iterable[ImageContent]
    ) -> dict[str, Any]:
        """Persist the turn, and return the extras of its output: parameters, request fingerprint, turn record."""
        extras: dict[str, Any] = {"fixes": self._fixes} if self._fixes else {}
        if self._request_body:
            content = {"model", "messages", "tools", "stream", "stream_options", "n", "response_format"}
            from orchat.chat.state_redaction import redacted_data

            parameters = {name: value for name, value in self._request_body.items() if name not in content}
            extras["parameters"] = redacted_data(parameters)
            extras["request"] = request_fingerprint(self._request_body)
        if conversation is None:
            self._storage.discard()
            return extras
        encode_record = self._encode_record
        assert encode_record is not None
        shown = [str(each.base64_image) for each in images if image_bundle(each) is not None]
        if turn.messages and (data := self._storage.store(lambda: encode_record(turn.messages, plain, shown))):
            extras["turn"] = data
        return extras

    def _encode_turn(
        self,
        turn: CellTurn,
        conversation: NotebookConversation,
        source: str | None,
        messages: list[ChatMessage],
        plain: str,
        pictures: Collection[str] = (),
        **about: bool,
    ) -> dict[str, Any]:
        """Return the record of a turn with these messages."""
        from orchat.chat.state import secrets_of
        from orchat.jupyter.kernel.conversations.turn_serialization import encode_turn

        current_turn = replace(turn, messages=messages)
        secrets = secrets_of(self._chat.generator if self._chat is not None else None)
        return encode_turn(
            current_turn,
            conversation.name,
            source,
            plain,
            secrets=secrets,
            cell=self._storage.saved_cell_id,
            pictures=pictures,
            **about,
        )

    def _checkpoint(self) -> None:
        """Persist the response so far, since the kernel may end before the answer does."""
        encode_record, turn_request = self._encode_record, self._turn_request
        if encode_record is not None and turn_request is not None:
            self._storage.checkpoint(lambda: encode_record(turn_request.messages, ""))


def _costs(messages: Iterable[ChatMessage]) -> list[Cost]:
    """Return the cost of each response."""
    from orchat.chat.money import Cost

    return [Cost.of(message.meta.get("usage")) for message in messages if message.is_from("assistant")]


class _RecordingSink(CellSink):
    """Show the chunks of a turn that `CellTurnRunner` starts and ends, and report each chunk for checkpoints."""

    def __init__(self, shell: InteractiveShell, display: Display, model: str, on_chunk: Callable[[], None]) -> None:
        super().__init__(shell, display, model)
        self._on_chunk = on_chunk

    def add(self, chunk: StreamingChunk) -> None:
        """Show a chunk and report it."""
        super().add(chunk)
        self._on_chunk()

    def start(self, question: ChatMessage | None) -> None:
        """Do nothing: the display has been started."""

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Do nothing: the display ends after the turn is persisted."""
