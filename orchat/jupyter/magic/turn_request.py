"""Build a turn's request from a cell's options and prompt, and run it so that it can be interrupted."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from orchat.configuration import resolve_model_alias, setting
from orchat.errors import ConfigurationError, OrchatError
from orchat.files import shortened_path
from orchat.jupyter.kernel.coroutine_runner import run_in_thread
from orchat.jupyter.kernel.prompt.typed_secrets import hide_secrets_of_file, hide_typed_secrets
from orchat.jupyter.magic.option_parser import generation_kwargs, resolve_tools
from orchat.messages.message import UserPart
from orchat.prompt_language.interpolation import Prompt, interpolate, verbatim_prompt
from orchat.rendering import Rendered, render_value
from orchat.rendering.attachments import attachment, attachment_label

if TYPE_CHECKING:
    from argparse import Namespace

    from orchat.chat import Chat
    from orchat.chat.approval import Decisions
    from orchat.chat.chat_dependencies import Sink
    from orchat.chat.reply import Reply
    from orchat.chat.turn_streams import AsyncChatStream
    from orchat.messages import ChatMessage
    from orchat.openrouter.generator import OpenRouterChatGenerator
    from orchat.tools import Tool, Toolset

_CLOSE_TIMEOUT = 0.15  # seconds that an interrupted cell gives a connection to close
_BASE64_DATA = re.compile(r"(?<=[\",])[A-Za-z0-9+/=]{200,}(?=\")")

_WAY_OUT = "--allow-secrets sends it"


@dataclass(frozen=True)
class PromptRequest:
    """The contents of a cell's request.

    Parameters
    ----------
    prompt
        The prompt, with its placeholders replaced.
    model
        The model's name; None for the default.
    system
        The system message; None where the cell sets none.
    generation_kwargs
        Further parameters of the request's body.
    attached
        Attached files as parts, each with its source.
    tools
        The tools that the model may call.
    """

    prompt: Prompt
    model: str | None = None
    system: str | None = None
    generation_kwargs: dict[str, Any] = field(default_factory=dict)
    attached: tuple[tuple[str, UserPart], ...] = ()
    tools: tuple[Tool | Toolset, ...] = ()

    @classmethod
    def from_options(
        cls,
        options: Namespace,
        text: str,
        names: Mapping[str, object],
        named_tools: Mapping[str, Tool | Toolset | list[Tool]],
    ) -> PromptRequest:
        """Build a request from parsed options and a prompt.

        Parameters
        ----------
        options
            The result of `orchat.jupyter.magic.option_parser.parse_options`.
        text
            The prompt as typed.
        names
            The namespace of placeholders, schemas and tools.
        named_tools
            The tools that need no variable, by name: the kernel's own, and those of MCP servers.

        Raises
        ------
        UsageError
            A file or a variable does not exist.
        """
        try:
            attached = tuple((source, attachment(source)) for source in options.attach)
        except ConfigurationError as error:
            raise UsageError(f"-a: {error}") from None
        privacy, allowed = setting("privacy"), options.allow_secrets
        notes: list[str | None] = []
        if not allowed:
            hidden = [hide_secrets_of_file(part, shortened_path(where), _WAY_OUT) for where, part in attached]
            attached = tuple((where, part) for (where, _), (part, _) in zip(attached, hidden, strict=True))
            notes += [note for _, note in hidden]
            text, note = hide_typed_secrets(text, _WAY_OUT)
            notes.append(note)
        if options.system is not None and not allowed:
            options.system, note = hide_typed_secrets(options.system, _WAY_OUT)  # the conversation remembers it
            notes.append(note)

        def rendered(value: object) -> Rendered:
            return render_value(value, privacy=privacy, allow_secrets=allowed)

        prompt = verbatim_prompt(text) if options.raw else interpolate(text, names, rendered, allow_secrets=allowed)
        if prompt.refusal is not None:
            raise UsageError(prompt.refusal)
        warnings = [*dict.fromkeys(note for note in (*notes, prompt.warning) if note)]
        return cls(
            prompt=replace(prompt, warning="; ".join(warnings) or None),
            model=options.model,
            system=options.system,
            generation_kwargs=generation_kwargs(options, names),
            attached=attached,
            tools=resolve_tools(options.tool, names, named_tools),
        )

    @property
    def sent_values(self) -> list[object]:
        """The values and files that are sent with the prompt, as labels for people."""
        return [*self.prompt.sent, *(attachment_label(source, part) for source, part in self.attached)]

    def question(self) -> ChatMessage:
        """Return the user's message: attached files first, the prompt last, next to the answer."""
        from orchat.messages import ChatMessage

        return ChatMessage.from_user(content_parts=[*(part for _, part in self.attached), *self.prompt.parts])

    def chat(self, history: tuple[ChatMessage, ...], session: str, options: Namespace) -> Chat:
        """Return a connected chat with the conversation's history.

        Connecting may start the embedded model, and imports the HTTP client.
        """
        import orchat.openrouter.transport  # noqa: F401 - a tenth of a second that a loop need not stand still for
        from orchat.default_factories import Chat, connect, list_price, session_budget
        from orchat.openrouter.prices import RequestSize

        generator = connect(self.model, generation_kwargs=self.generation_kwargs)
        if options.max_cost is not None or session_budget().limit is not None:
            # It may fetch the list, which a running turn should not wait for.
            list_price(generator.model, RequestSize(0, 0))
        chat = Chat(
            generator,
            tools=list(self.tools),
            approve=options.approve or "ask",
            max_cost=options.max_cost,
            session=session,
            show=False,
        )
        chat.messages = history
        return chat


class TurnRequest:
    """A running turn of a chat, which an interrupt ends within a fraction of a second.

    Parameters
    ----------
    chat
        The chat that runs the turn.
    question
        The user's message, or the decisions that resume a parked turn.
    sink
        The sink that shows the turn.
    streams
        Whether the response is streamed.
    parks
        Whether the turn may park when a decision cannot be made now.
    """

    def __init__(
        self,
        chat: Chat,
        question: ChatMessage | Decisions,
        sink: Sink,
        *,
        streams: bool,
        parks: bool = True,
    ) -> None:
        from orchat.chat import AsyncChatStream

        self._chat = chat
        self._stream: AsyncChatStream = AsyncChatStream(chat, question, {"whole": not streams, "park": parks}, sink)

    async def wait(self) -> None:
        """Wait for the end of the turn; after an interrupt, 0.15 s at most for slow tools and connections."""
        task = asyncio.ensure_future(self._stream.drain())
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)
            task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            raise
        task.result()

    def stop(self) -> None:
        """Stop the turn on the user's request."""
        self._chat.stop()

    @property
    def reply(self) -> Reply:
        """The response so far."""
        return self._stream.reply

    @property
    def messages(self) -> list[ChatMessage]:
        """The turn's messages so far, with the partial response."""
        return self._stream.messages


async def connect_generator(
    request: PromptRequest, history: tuple[ChatMessage, ...], session: str, options: Namespace
) -> Chat:
    """Return a connected chat; connecting runs in a thread, so that an interrupt need not wait for it."""
    return await run_in_thread(lambda: request.chat(history, session, options))


def request_fingerprint(body: Mapping[str, Any]) -> str:
    """Return a short hash of a request's body: equal bodies have equal fingerprints.

    Examples
    --------
    >>> request_fingerprint({"model": "m", "seed": 7}) == request_fingerprint({"seed": 7, "model": "m"})
    True
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def dry_run(request: PromptRequest, history: tuple[ChatMessage, ...], *, streams: bool) -> str:
    """Return the request's body as indented JSON, without sending it: long base64 data is cut.

    Neither a key nor the embedded model is needed, for nothing is sent.
    """
    from orchat.chat.message_selection import messages_to_send, skip_pending_calls
    from orchat.default_factories import connect
    from orchat.openrouter.dialect import LOCAL_PREFIX
    from orchat.secret import Secret

    local_address = (
        {"api_base_url": "http://127.0.0.1"} if resolve_model_alias(request.model).startswith(LOCAL_PREFIX) else {}
    )
    generator: OpenRouterChatGenerator = connect(
        request.model, api_key=Secret.from_token("-"), generation_kwargs=request.generation_kwargs, **local_address
    )
    messages = messages_to_send([*skip_pending_calls(history), request.question()], generator.model)
    try:
        sent = generator.request_body(messages, tools=list(request.tools), stream=streams)
    except OrchatError as error:
        raise UsageError(str(error)) from None
    body = json.dumps(sent, indent=2, ensure_ascii=False)
    return _BASE64_DATA.sub(lambda found: f"{found[0][:40]}… ({len(found[0]):,} characters)", body)
