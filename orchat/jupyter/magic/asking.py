"""One question on its way: what a cell asks for, and what has arrived of the answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from orchat.errors import ConfigurationError, OrchatError
from orchat.jupyter.magic.options import generation_kwargs
from orchat.jupyter.output.display import LiveDisplay, TerminalDisplay
from orchat.jupyter.output.formats import CODE_WANTED
from orchat.jupyter.prompt.attachments import attachment, label
from orchat.jupyter.prompt.interpolation import Prompt, UserPart, interpolate, literal
from orchat.jupyter.running import in_thread

if TYPE_CHECKING:
    from argparse import Namespace

    from orchat.chat.reply import Reply
    from orchat.messages import ChatMessage
    from orchat.openrouter.generator import OpenRouterChatGenerator

_CLOSING = 0.15  # seconds that an interrupted cell gives a connection to close
_BYTES_AS_TEXT = re.compile(r"(?<=[\",])[A-Za-z0-9+/=]{200,}(?=\")")


@dataclass(frozen=True)
class Request:
    """What a cell asks for.

    Parameters
    ----------
    prompt
        The prompt, with its values in place.
    model
        Who shall answer; None for the usual one.
    system
        What the model should be and do.
    generation_kwargs
        What else goes into the request's body.
    attached
        Files that go along, and what to call them.
    streams
        Whether the answer is wanted as it arrives.
    """

    prompt: Prompt
    model: str | None = None
    system: str | None = None
    generation_kwargs: dict[str, Any] = field(default_factory=dict)
    attached: tuple[tuple[str, UserPart], ...] = ()
    streams: bool = True

    @classmethod
    def of(cls, options: Namespace, text: str, names: Mapping[str, object]) -> Request:
        """Put a request together.

        Parameters
        ----------
        options
            What `orchat.jupyter.magic.options.parse` made of the line.
        text
            The prompt as it was typed.
        names
            Where its names are looked up.

        Raises
        ------
        UsageError
            A file or a variable is not there.
        """
        system = [options.system, CODE_WANTED if options.format == "code" else None]
        try:
            attached = tuple((where, attachment(where)) for where in options.attach)
        except ConfigurationError as error:
            raise UsageError(f"-a: {error}") from None
        return cls(
            prompt=literal(text) if options.raw else interpolate(text, names),
            model=options.model,
            system="\n\n".join(filter(None, system)) or None,
            generation_kwargs=generation_kwargs(options, names),
            attached=attached,
            streams=not options.no_stream,
        )

    @property
    def sent(self) -> list[object]:
        """What goes along with the words, for people to read."""
        return [*self.prompt.sent, *(label(where, part) for where, part in self.attached)]

    def messages(self) -> list[ChatMessage]:
        """Return the conversation to send."""
        from orchat.messages import ChatMessage

        system = [ChatMessage.from_system(self.system)] if self.system else []
        # The question comes last, next to where the answer begins.
        parts = [*(part for _, part in self.attached), *self.prompt.parts]
        return [*system, ChatMessage.from_user(content_parts=parts)]


class Answer:
    """One request on its way: whom it went to, and what has arrived."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._message: Callable[[], ChatMessage | None] = lambda: None
        self.model = request.model or ""

    async def arrive(self, display: LiveDisplay | TerminalDisplay) -> None:
        """Ask, and show the answer in a display as it arrives."""
        display.start(self.model or "an answer")
        # Connecting may start the embedded model, and imports the HTTP client: an interrupt must not wait for that.
        generator = await in_thread(self._connect)
        if not self.model:
            self.model = generator.model
            display.start(self.model)
        try:
            await (self._stream(generator, display) if self._request.streams else self._whole(generator))
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await generator.close_async()

    async def _stream(self, generator: OpenRouterChatGenerator, display: LiveDisplay | TerminalDisplay) -> None:
        stream = generator.stream_async(self._request.messages())
        self._message = lambda: stream.message
        try:
            async for chunk in stream:
                display.add(chunk)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await stream.aclose()

    async def _whole(self, generator: OpenRouterChatGenerator) -> None:
        message: ChatMessage | None = None
        try:
            message = (await generator.run_async(self._request.messages()))["replies"][0]
        except OrchatError as error:
            message = getattr(error, "partial", None)
            raise
        finally:
            self._message = lambda: message

    def reply(self, ending: str | None) -> Reply:
        """Return what has arrived, stamped with how it ended when it is not whole."""
        from orchat.chat.reply import Reply
        from orchat.messages import ChatMessage

        message = self._message() or ChatMessage.from_assistant("")
        if ending is not None:
            message.meta["ending"] = ending
        return Reply(message)

    def _connect(self) -> OpenRouterChatGenerator:
        import orchat.openrouter.transport  # noqa: F401 - a tenth of a second that the loop need not stand still for
        from orchat.connect import connect

        return connect(self._request.model, generation_kwargs=self._request.generation_kwargs)


def dry_run(request: Request) -> str:
    """Return the body that would be sent, as JSON to read: long pictures and files are cut.

    Neither a key nor the embedded model is needed, for nothing is sent.
    """
    from orchat.configuration import model_named
    from orchat.connect import connect
    from orchat.openrouter.dialect import LOCAL_PREFIX
    from orchat.secret import Secret

    model = model_named(request.model)
    nowhere = {"api_base_url": "http://127.0.0.1"} if model.startswith(LOCAL_PREFIX) else {}
    generator = connect(
        request.model, api_key=Secret.from_token("-"), generation_kwargs=request.generation_kwargs, **nowhere
    )
    try:
        sent = generator.request_body(request.messages(), stream=request.streams)
    except OrchatError as error:
        raise UsageError(str(error)) from None
    body = json.dumps(sent, indent=2, ensure_ascii=False)
    return _BYTES_AS_TEXT.sub(lambda found: f"{found[0][:40]}… ({len(found[0]):,} characters)", body)
