"""Register the ``%%openrouter`` cell magic and the ``%openrouter`` line magic, and dispatch each call.

A call runs a turn (`orchat.jupyter.magic.cell_turn_runner`) or a sub-command (`orchat.jupyter.magic.subcommands`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand
from traitlets import TraitError

from orchat.configuration import set_key_lookup, setting
from orchat.jupyter.kernel.coroutine_runner import (
    AwaitedCellTransformer,
    CellError,
    deliver_comms_while_awaiting,
    wake_loop_on_interrupt,
)
from orchat.jupyter.kernel.live_view import cell_sink
from orchat.jupyter.magic.completion import Completions
from orchat.jupyter.magic.configurable_traits import FILE, ConfigurableTraits, reset_settings
from orchat.jupyter.magic.line_tokenizer import split_prompt
from orchat.jupyter.magic.magic_session import MagicSession
from orchat.jupyter.magic.option_parser import MAGIC, help_text, parse_options
from orchat.private_event_loop import run_in_private_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.reply import Reply

_CELL_MAGIC = re.compile(rf"%%{MAGIC}(?:[ \t]++(.*))?")
_LINE_QUESTION = re.compile(rf"(\s*+(?:[\w.\[\]'\"]++\s*+=\s*+)?)%{MAGIC}[ \t]++(.*\?)")


@magics_class
class OpenRouterMagics(Magics, ConfigurableTraits):
    """The magics of ``%load_ext orchat``, configurable with ``%config OpenRouterMagics``."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.session = MagicSession(shell, cell_sink.register_sink(shell))
        self.completions = Completions(
            shell,
            names=self.session.prompt_namespace,
            models=_known_models,
            aliases=lambda: setting("aliases"),
            conversations=lambda: self.session.conversation_names,
            commands=_subcommand_usages,
            servers=lambda: self.session.mcp_toolsets,
        )

    @no_var_expand
    @cell_magic
    def openrouter(self, line: str, cell: str) -> None:  # noqa: D102 - set below
        if (answer := self._prepare_turn(line, cell)) is not None:
            _print_text(run_in_private_loop(answer))

    openrouter.__doc__ = help_text()  # what `%%openrouter?` shows

    async def awaited(self, line: str, cell: str | None = None) -> Reply | None:
        """Run a magic as a top-level ``await`` of the cell; `AwaitedCellTransformer` writes the call."""
        answer = self._prepare_subcommand(line) if cell is None else self._prepare_turn(line, cell)
        if answer is not None:
            async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
                reply = _print_text(await answer())
                return reply if cell is None else None
        return None

    @needs_local_scope
    @no_var_expand
    @line_magic(MAGIC)  # type: ignore[arg-type]  # IPython gives its decorators no type for a name
    def openrouter_line(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Reply | None:
        """Ask a language model in one line, or use a sub-command.

        ``%openrouter [MODEL] [options] -- PROMPT`` streams the answer and returns the reply, which a variable can take:
        ``reply = %openrouter -- why is the sky blue?``. ``%openrouter help`` shows options and sub-commands.
        """
        with self._raise_usage_errors():
            before, prompt = split_prompt(line)
        if prompt is None:
            result = self._prepare_subcommand(before.strip())
            return None if result is None else _print_text(run_in_private_loop(result))
        answer = self._prepare_turn(before, prompt, local_ns, in_line=True)
        return None if answer is None else _print_text(run_in_private_loop(answer))

    def _prepare_subcommand(self, line: str) -> Callable[[], Coroutine[Any, Any, Reply | str]] | None:
        """Run a sub-command; return the coroutine function that finishes it, None where it is finished."""
        from orchat.jupyter.magic import subcommands  # what asks is loaded when somebody does

        with self._raise_usage_errors():
            result = subcommands.run_subcommand(self.session, line)
        if isinstance(result, str):
            _print_text(result)
            return None
        return result

    def _prepare_turn(
        self, line: str, cell: str, local: Mapping[str, Any] | None = None, *, in_line: bool = False
    ) -> Callable[[], Coroutine[Any, Any, Any]] | None:
        """Return the coroutine function that runs a turn or a column; None for what is printed here."""
        with self._raise_usage_errors():
            return self._parse_turn(line, cell.strip(), local, in_line=in_line)

    @contextmanager
    def _raise_usage_errors(self) -> Iterator[None]:
        """Turn a `UsageError` into a `CellError`: IPython would only print it, and nbmake count the cell as passed."""
        try:
            yield
        except UsageError as error:
            last = getattr(sys, "last_value", None)
            if isinstance(last, BaseException) and not isinstance(last, CellError):
                self.session.hidden_error = last  # which `%openrouter fix` would look for in vain behind this one
            raise CellError(str(error)) from None

    def _parse_turn(
        self, line: str, source: str, local: Mapping[str, Any] | None, *, in_line: bool
    ) -> Callable[[], Coroutine[Any, Any, Any]] | None:
        from orchat.jupyter.magic.cell_turn_runner import CellTurnRunner
        from orchat.jupyter.magic.turn_request import PromptRequest, dry_run

        options = parse_options(line)
        if options.help:
            print(help_text())  # noqa: T201 - it was asked for
            return None
        if not source:
            raise UsageError(f"The prompt is empty: write it below the %%{MAGIC} line.")
        if options.map is not None:
            from orchat.jupyter.magic.column_cell import ColumnCell

            names = self.session.prompt_namespace(local)
            return ColumnCell(self.session.shell, options, source, names, shows_result=not in_line).ask
        request = PromptRequest.from_options(
            options, source, self.session.prompt_namespace(local), self.session.named_tools if options.tool else {}
        )
        if request.prompt.warning:
            print(f"{MAGIC}: {request.prompt.warning}", file=sys.stderr)  # noqa: T201 - told beside the answer
        if options.dry_run:
            before = self.session.conversation_start(options).messages
            print(dry_run(request, before, streams=not options.no_stream))  # noqa: T201 - it was asked for
            return None
        return lambda: CellTurnRunner(self.session, options).ask(request, None if in_line else source)


def keep_prompt_verbatim(lines: list[str]) -> list[str]:
    r"""Rewrite calls of the magics as Python before IPython's own transformers change the prompt.

    They would strip ``>>>`` and ``In [1]:``, which a prompt may hold, and read a last ``?`` as a call for help.

    Examples
    --------
    >>> keep_prompt_verbatim(["x = %openrouter -- why?\n"])
    ["x = get_ipython().run_line_magic('openrouter', '-- why?')\n"]
    >>> keep_prompt_verbatim(["%%openrouter -t 0\n", ">>> 1\n"])
    ["get_ipython().run_cell_magic('openrouter', '-t 0', '>>> 1\\n')\n"]
    """
    lines = list(dropwhile(str.isspace, lines))
    first = lines[0] if lines else ""
    if found := _CELL_MAGIC.fullmatch(first.rstrip()):
        return [f"get_ipython().run_cell_magic({MAGIC!r}, {found[1] or ''!r}, {''.join(lines[1:])!r})\n"]
    if first.lstrip().startswith("%%"):  # the body of another magic is its own
        return lines
    return [
        f"{found[1]}get_ipython().run_line_magic({MAGIC!r}, {found[2]!r})\n"
        if found  # also without the two dashes: the magic says that they are missing
        else line
        for line in lines
        for found in [_LINE_QUESTION.fullmatch(line.rstrip())]
    ]


# Where IPython asks whether a cell is complete, it must still see a cell magic, which an empty line ends.
keep_prompt_verbatim.has_side_effects = True  # type: ignore[attr-defined]


def _print_text(result: Reply | str) -> Reply | None:
    """Print the text of a sub-command; return a reply, which has been shown."""
    if isinstance(result, str):
        if result:
            print(result)  # noqa: T201 - it was asked for
        return None
    return result


def _known_models() -> list[str]:
    """Return the chat models of the cached catalog and the local one, without a request."""
    from orchat.openrouter.catalog import cached_catalog
    from orchat.openrouter.dialect import LOCAL_MODEL

    catalog = cached_catalog(str(setting("base_url")))
    models = () if catalog is None else catalog.models
    return [*(model.id for model in models if model.is_chat_model), LOCAL_MODEL]


def _subcommand_usages() -> dict[str, str]:
    """Return the usage of each sub-command, by name."""
    from orchat.jupyter.magic.subcommands import COMMANDS

    return {name: command.usage for name, command in COMMANDS.items()}


def _find_key(api_base_url: str) -> str | None:
    from orchat.jupyter.magic.key_lookup import find_key

    return find_key(api_base_url)


def register_magics(shell: InteractiveShell) -> None:
    """Register the magics, completion and input transformers with IPython; a repeated call replaces them."""
    unregister_magics(shell)
    try:
        magics = OpenRouterMagics(shell)
    except TraitError as error:  # a limit that is misspelt is none: nothing is asked before it is mended
        reset_settings()
        raise CellError(f"{FILE}: {error}") from None
    shell.register_magics(magics)
    set_key_lookup(_find_key)
    magics.completions.register()
    shell.input_transformers_cleanup.insert(0, keep_prompt_verbatim)
    transformer = AwaitedCellTransformer(shell, MAGIC, ("restore", "mcp", "fix"))
    transformer.keep_history()
    shell.input_transformers_post.append(transformer)
    if "orchat.chat" in sys.modules:
        cell_sink.show_chats(shell)


def unregister_magics(shell: InteractiveShell) -> None:
    """Undo `register_magics`."""
    magics = shell.magics_manager.registry.pop(OpenRouterMagics.__name__, None)
    if magics is None:
        return
    shell.configurables.remove(magics)
    for kind in ("cell", "line"):
        del shell.magics_manager.magics[kind][MAGIC]
    cell_sink.unregister_sink(shell)
    magics.completions.unregister()
    for toolset in magics.session.mcp_toolsets.values():
        toolset.close()
    if "orchat.jupyter.kernel.cell_storage.metadata_bridge" in sys.modules:
        magics.session.bridge.close()
    set_key_lookup(None)
    reset_settings(magics, shell.config)
    shell.input_transformers_cleanup.remove(keep_prompt_verbatim)
    for step in list(shell.input_transformers_post):
        if isinstance(step, AwaitedCellTransformer):
            step.release_history()
            shell.input_transformers_post.remove(step)
