"""The ``%%openrouter`` cell magic: a prompt in, a model's answer streaming into the cell.

It reads the options, asks `orchat.connect` who answers, feeds the stream to a display and binds the reply. Whatever
happens, what arrived is shown and bound before the cell ends.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import keyword
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, magics_class, no_var_expand

from orchat.errors import OrchatError
from orchat.jupyter.caption import error_line
from orchat.jupyter.display import LiveDisplay, TerminalDisplay, display_for
from orchat.jupyter.markdown import safe_markdown
from orchat.jupyter.running import CellError, await_cells, in_thread, run_in_private_loop, ticking

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.reply import Reply
    from orchat.messages import ChatMessage
    from orchat.openrouter.generator import OpenRouterChatGenerator

MAGIC = "openrouter"

_MANUAL = """\
Ask a language model: the prompt is the cell below this line, the answer streams in.

  %%openrouter openai/gpt-4o-mini -o answer
  Explain entropy to a ten-year-old, in three sentences.

The key is the environment variable OPENROUTER_API_KEY. Stop a long answer with the kernel's interrupt: what arrived
stays, in the cell and in the variable. The model local/smollm2-135m-instruct needs no key."""

_REPLY = ("orchat.chat.reply", "Reply")  # shown as Markdown, but named here so that loading need not import it
_CLOSING = 0.15  # seconds that an interrupted cell gives a connection to close


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.")


def _parser() -> _Parser:
    parser = _Parser(
        prog=f"%%{MAGIC}",
        usage=f"%%%%{MAGIC} [MODEL] [-o NAME] [-s TEXT] [-t NUMBER] [-h]",
        description=_MANUAL,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    option = parser.add_argument
    option("model", nargs="?", metavar="MODEL", help="who answers, such as openai/gpt-4o-mini (default: ORCHAT_MODEL)")
    option("-m", "--model", dest="model_option", metavar="MODEL", help="the same, as an option")
    option("-o", "--out", metavar="NAME", help="bind the reply to a variable: NAME.text, NAME.usage, NAME.cost ...")
    option("-s", "--system", metavar="TEXT", help="what the model should be and do, in quotes")
    option("-t", "--temperature", type=float, metavar="NUMBER", help="0 is matter-of-fact, 1 and more is playful")
    option("-h", "--help", action="store_true", help="show this")
    return parser


def parse(line: str) -> argparse.Namespace:
    r"""Read the line of a cell magic.

    Raises
    ------
    UsageError
        It does not make sense; IPython shows the message as one line.

    Examples
    --------
    >>> options = parse('openai/gpt-4o-mini -t 0 -s "Don\'t ramble." -o answer')
    >>> options.model, options.temperature, options.system, options.out
    ('openai/gpt-4o-mini', 0.0, "Don't ramble.", 'answer')
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{error} in: {line.strip()}") from None
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        raise UsageError(_unknown(unknown))
    if options.model and options.model_option and options.model != options.model_option:
        raise UsageError(f"Two models are given: {options.model} and {options.model_option}.")
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise UsageError(f"-o takes the name of a variable; {options.out!r} is none.")
    return options


def _unknown(words: list[str]) -> str:
    """Say what to do about words that mean nothing here."""
    word = words[0]
    if not word.startswith("-"):
        text = " ".join(words)
        return f"What does {text!r} mean? The prompt goes below the first line, and a text with spaces in quotes."
    option, _, _ = word.partition("=")
    known = [name for action in _parser()._actions for name in action.option_strings]
    near = difflib.get_close_matches(option, known, n=1)
    return f"There is no option {option}. " + (f"Did you mean {near[0]}?" if near else f"See %%{MAGIC} -h.")


@magics_class
class OpenRouterMagics(Magics):
    """The magics of ``%load_ext orchat``."""

    @no_var_expand
    @cell_magic
    def openrouter(self, line: str, cell: str) -> None:  # noqa: D102 - set below
        request = self._read(line, cell)
        if request is not None:
            run_in_private_loop(lambda: self._answer(request))

    openrouter.__doc__ = _parser().format_help()  # what `%%openrouter?` shows

    async def awaited(self, line: str, cell: str) -> None:
        """Do what `openrouter` does, as a top-level ``await`` of the cell; `await_cells` writes the call."""
        request = self._read(line, cell)
        if request is not None:
            async with ticking():
                await self._answer(request)

    def _read(self, line: str, cell: str) -> Request | None:
        """Read the options; None when help was asked for, and shown."""
        options = parse(line)
        if options.help:
            print(_parser().format_help())  # noqa: T201 - it was asked for
            return None
        if not cell.strip():
            raise UsageError(f"The prompt is empty: write it below the %%{MAGIC} line.")
        return Request(
            prompt=cell.strip(),
            model=options.model or options.model_option,
            system=options.system,
            generation_kwargs={} if options.temperature is None else {"temperature": options.temperature},
            out=options.out,
        )

    async def _answer(self, request: Request) -> None:
        assert self.shell is not None
        display = display_for(self.shell)
        answer = Answer(request)
        started = time.monotonic()
        ending: str | None = None
        failure: BaseException | None = None
        try:
            await answer.stream_to(display)
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            ending, failure = "interrupted", error
        except Exception as error:  # noqa: BLE001 - raised again below, when everything is kept
            ending, failure = "failed", error
        reply = answer.reply(ending)
        if request.out:
            self.shell.user_ns[request.out] = reply
        known = failure if isinstance(failure, OrchatError) else None
        display.end(reply, time.monotonic() - started, model=answer.model, ending=ending, error=known)
        if ending == "interrupted":
            raise CellError("interrupted; what arrived is kept") from failure
        if known is not None:
            raise CellError(error_line(known)) from known
        if failure is not None:
            raise failure


@dataclass(frozen=True)
class Request:
    """What the cell asks for."""

    prompt: str
    model: str | None = None
    system: str | None = None
    generation_kwargs: dict[str, Any] = field(default_factory=dict)
    out: str | None = None

    def messages(self) -> list[ChatMessage]:
        """Return the conversation to send."""
        from orchat.messages import ChatMessage

        system = [ChatMessage.from_system(self.system)] if self.system else []
        return [*system, ChatMessage.from_user(self.prompt)]


class Answer:
    """One request on its way: whom it went to, and what has arrived."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._message: Callable[[], ChatMessage] | None = None
        self.model = request.model or ""

    async def stream_to(self, display: LiveDisplay | TerminalDisplay) -> None:
        """Stream the answer into a display."""
        display.start(self.model or "an answer")
        # Connecting may start the embedded model, and imports the HTTP client: an interrupt must not wait for that.
        generator = await in_thread(self._connect)
        if not self.model:
            self.model = generator.model
            display.start(self.model)
        stream = generator.stream_async(self._request.messages())
        self._message = lambda: stream.message
        try:
            async for chunk in stream:
                display.add(chunk)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await stream.aclose()
                    await generator.close_async()

    def reply(self, ending: str | None) -> Reply:
        """Return what has arrived, stamped with how it ended when it is not whole."""
        from orchat.chat.reply import Reply
        from orchat.messages import ChatMessage

        message = self._message() if self._message is not None else ChatMessage.from_assistant("")
        if ending is not None:
            message.meta["ending"] = ending
        return Reply(message)

    def _connect(self) -> OpenRouterChatGenerator:
        import orchat.openrouter.transport  # noqa: F401 - a tenth of a second that the loop need not stand still for
        from orchat.connect import connect

        return connect(self._request.model, generation_kwargs=self._request.generation_kwargs)


def register(shell: InteractiveShell) -> None:
    """Make ``%%openrouter`` known to IPython; a second time changes nothing."""
    unregister(shell)
    shell.register_magics(OpenRouterMagics)
    shell.input_transformers_post.append(await_cells(shell, MAGIC))
    _markdown(shell).for_type_by_name(*_REPLY, lambda reply: safe_markdown(reply.text))


def unregister(shell: InteractiveShell) -> None:
    """Undo `register`."""
    magics = shell.magics_manager.registry.pop(OpenRouterMagics.__name__, None)
    if magics is None:
        return
    shell.configurables.remove(magics)
    del shell.magics_manager.magics["cell"][MAGIC]
    _markdown(shell).pop(".".join(_REPLY))
    shell.input_transformers_post[:] = [
        step for step in shell.input_transformers_post if not isinstance(step, await_cells)
    ]


def _markdown(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters["text/markdown"]
