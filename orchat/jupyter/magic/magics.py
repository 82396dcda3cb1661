"""The ``%%openrouter`` cell magic and its line: a prompt in, a model's answer streaming into the cell.

It reads the options, asks `orchat.connect` who answers, feeds the stream to a display and binds the reply. Whatever
happens, what arrived is shown and bound before the cell ends.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand

from orchat.errors import OrchatError
from orchat.jupyter.magic.asking import Answer, Request, dry_run
from orchat.jupyter.magic.options import MAGIC, manual, near, parse
from orchat.jupyter.magic.words import split_prompt
from orchat.jupyter.output.caption import error_line
from orchat.jupyter.output.display import display_for
from orchat.jupyter.output.formats import cell_code
from orchat.jupyter.output.markdown import safe_markdown
from orchat.jupyter.prompt.names import Names
from orchat.jupyter.running import CellError, await_cells, run_in_private_loop, ticking

if TYPE_CHECKING:
    from argparse import Namespace

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.reply import Reply

_REPLY = ("orchat.chat.reply", "Reply")  # shown as Markdown, but named here so that loading need not import it
_COMMANDS = ("help", "version")
_CELL = re.compile(rf"%%{MAGIC}(?:[ \t]+(.*?))?\s*")
_QUESTION = re.compile(rf"(\s*(?:[\w.\[\]'\"]+\s*=\s*)?)%{MAGIC}[ \t]+((?:.*\s)?--\s.*\?)\s*")


@magics_class
class OpenRouterMagics(Magics):
    """The magics of ``%load_ext orchat``."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shown: tuple[int, object] | None = None

    @no_var_expand
    @cell_magic
    def openrouter(self, line: str, cell: str) -> None:  # noqa: D102 - set below
        if (asked := self._read(line, cell)) is not None:
            run_in_private_loop(lambda: self._answer(*asked))

    openrouter.__doc__ = manual()  # what `%%openrouter?` shows

    async def awaited(self, line: str, cell: str) -> None:
        """Do what `openrouter` does, as a top-level ``await`` of the cell; `await_cells` writes the call."""
        if (asked := self._read(line, cell)) is not None:
            async with ticking():
                await self._answer(*asked)

    @needs_local_scope
    @no_var_expand
    @line_magic(MAGIC)  # type: ignore[arg-type]  # IPython gives its decorators no type for a name
    def openrouter_line(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Reply | None:
        """Ask a language model in one line, or use a sub-command.

        ``%openrouter [MODEL] [options] -- PROMPT`` streams the answer and returns the reply, which a variable can take:
        ``reply = %openrouter -- why is the sky blue?``. ``%openrouter help`` shows the options, ``%openrouter version``
        the version.
        """
        before, prompt = split_prompt(line)
        if prompt is None:
            self._command(before)
            return None
        asked = self._read(before, prompt, local_ns)
        if asked is None:
            return None
        reply = run_in_private_loop(lambda: self._answer(*asked))
        assert self.shell is not None
        self._shown = (self.shell.execution_count, reply)
        return reply

    def shows_again(self, reply: Reply) -> None:
        """Keep a reply from showing itself as the value of the cell that it has just been streamed into.

        IPython asks whoever displays an object by itself; NotImplementedError says that nobody does.
        """
        assert self.shell is not None
        if self._shown is None or self._shown[0] != self.shell.execution_count or self._shown[1] is not reply:
            raise NotImplementedError

    def _command(self, line: str) -> None:
        word = (line.split() or [""])[0]
        if word in {"", "help", "-h", "--help"}:
            print(manual())  # noqa: T201 - it was asked for
        elif word == "version":
            from orchat import __version__

            print(f"orchat {__version__}")  # noqa: T201 - it was asked for
        else:
            hint = near(word, _COMMANDS) or f"There are {', '.join(_COMMANDS)}."
            raise UsageError(
                f"There is no %{MAGIC} {word}. {hint} A prompt goes behind two dashes: %{MAGIC} -- {line.strip()}"
            )

    def _read(self, line: str, cell: str, local: Mapping[str, Any] | None = None) -> tuple[Namespace, Request] | None:
        """Read the options; None when they ask for something else than an answer, which is done."""
        options = parse(line)
        if options.help:
            print(manual())  # noqa: T201 - it was asked for
            return None
        if not cell.strip():
            raise UsageError(f"The prompt is empty: write it below the %%{MAGIC} line.")
        assert self.shell is not None
        request = Request.of(options, cell.strip(), Names(self.shell, local))
        if request.prompt.warning:
            print(f"{MAGIC}: {request.prompt.warning}", file=sys.stderr)  # noqa: T201 - told beside the answer
        if options.dry_run:
            print(dry_run(request))  # noqa: T201 - it was asked for
            return None
        return options, request

    async def _answer(self, options: Namespace, request: Request) -> Reply:
        assert self.shell is not None
        display = display_for(self.shell, options.format)
        answer = Answer(request)
        started = time.monotonic()
        ending: str | None = None
        failure: BaseException | None = None
        try:
            await answer.arrive(display)
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            ending, failure = "interrupted", error
        except Exception as error:  # noqa: BLE001 - raised again below, when everything is kept
            ending, failure = "failed", error
        reply = answer.reply(ending)
        if options.out:
            self.shell.user_ns[options.out] = reply
        known = failure if isinstance(failure, OrchatError) else None
        seconds = time.monotonic() - started
        display.end(reply, seconds, model=answer.model, ending=ending, error=known, sent=request.sent)
        if ending == "interrupted":
            raise CellError("interrupted; what arrived is kept") from failure
        if known is not None and not options.debug:
            raise CellError(error_line(known)) from known
        if failure is not None:
            raise failure
        if options.format == "code" and (code := cell_code(reply.text)):
            self.shell.set_next_input(code)
        return reply


def keep_as_typed(lines: list[str]) -> list[str]:
    r"""Call the magics before IPython changes a prompt.

    It takes ``>>>`` and ``In [1]:`` off a cell, which a prompt may hold, and a last ``?`` for a call for help.

    Examples
    --------
    >>> keep_as_typed(["x = %openrouter -- why?\n"])
    ["x = get_ipython().run_line_magic('openrouter', '-- why?')\n"]
    >>> keep_as_typed(["%%openrouter -t 0\n", ">>> 1\n"])
    ["get_ipython().run_cell_magic('openrouter', '-t 0', '>>> 1\\n')\n"]
    """
    lines = list(dropwhile(str.isspace, lines))
    first = lines[0] if lines else ""
    if found := _CELL.fullmatch(first):
        return [f"get_ipython().run_cell_magic({MAGIC!r}, {found[1] or ''!r}, {''.join(lines[1:])!r})\n"]
    if first.lstrip().startswith("%%"):  # the body of another magic is its own
        return lines
    return [
        f"{found[1]}get_ipython().run_line_magic({MAGIC!r}, {found[2]!r})\n" if found else line
        for line in lines
        for found in [_QUESTION.fullmatch(line)]
    ]


# Where IPython asks whether a cell is complete, it must still see a cell magic, which an empty line ends.
keep_as_typed.has_side_effects = True  # type: ignore[attr-defined]


def register(shell: InteractiveShell) -> None:
    """Make the magics known to IPython; a second time changes nothing."""
    unregister(shell)
    magics = OpenRouterMagics(shell)
    shell.register_magics(magics)
    shell.input_transformers_cleanup.insert(0, keep_as_typed)
    shell.input_transformers_post.append(await_cells(shell, MAGIC))
    _formatter(shell).for_type_by_name(*_REPLY, magics.shows_again)
    _formatter(shell, "text/markdown").for_type_by_name(*_REPLY, lambda reply: safe_markdown(reply.text))


def unregister(shell: InteractiveShell) -> None:
    """Undo `register`."""
    magics = shell.magics_manager.registry.pop(OpenRouterMagics.__name__, None)
    if magics is None:
        return
    shell.configurables.remove(magics)
    for kind in ("cell", "line"):
        del shell.magics_manager.magics[kind][MAGIC]
    for formatter in (_formatter(shell), _formatter(shell, "text/markdown")):
        formatter.pop(".".join(_REPLY))
    shell.input_transformers_cleanup.remove(keep_as_typed)
    shell.input_transformers_post[:] = [
        step for step in shell.input_transformers_post if not isinstance(step, await_cells)
    ]


def _formatter(shell: InteractiveShell, kind: str | None = None) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters[kind] if kind else shell.display_formatter.ipython_display_formatter
