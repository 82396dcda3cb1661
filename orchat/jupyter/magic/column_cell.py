"""``%%openrouter --map DATA``: a cell whose prompt is asked for each row of a variable (`orchat.map`)."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.display import display

from orchat.errors import OrchatError
from orchat.jupyter.kernel.coroutine_runner import CellError
from orchat.jupyter.kernel.prompt.typed_secrets import hide_typed_secrets
from orchat.jupyter.magic.option_parser import MAGIC, closest_match, generation_kwargs, schema_of_any_type

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.mapping import MapResult

# What belongs to a conversation, and to no column.
_OF_CONVERSATIONS = {"attach": "-a", "chat": "--chat", "tool": "-T", "new": "--new", "approve": "--approve"}


class ColumnCell:
    """A cell that asks for a column.

    Parameters
    ----------
    shell
        The running IPython.
    options
        The result of `orchat.jupyter.magic.option_parser.parse_options`.
    text
        The prompt as typed.
    names
        The namespace of the data and the schema.
    shows_result
        Whether to show the result, which is returned in any case.

    Raises
    ------
    UsageError
        A variable does not exist, or an option belongs to conversations.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        options: argparse.Namespace,
        text: str,
        names: Mapping[str, object],
        *,
        shows_result: bool = True,
    ) -> None:
        for name, option in _OF_CONVERSATIONS.items():
            if getattr(options, name):
                raise UsageError(f"{option} is for a conversation; a column's rows are asked one by one.")
        if options.raw:
            raise UsageError("--raw and --map: without placeholders every row is asked the same.")
        if options.map not in names:
            hint = closest_match(options.map, names) or "Give the name of a list or a data frame."
            raise UsageError(f"--map: there is no variable {options.map}. {hint}")
        self._shell = shell
        self._options = options
        self._data = names[options.map]
        self._shows_result = shows_result
        system, notes = options.system, []
        if not options.allow_secrets:
            text, note = hide_typed_secrets(text, "--allow-secrets sends it")
            notes.append(note)
            if system is not None:
                system, note = hide_typed_secrets(system, "--allow-secrets sends it")
                notes.append(note)
        for note in filter(None, notes):
            print(f"{MAGIC}: {note}", file=sys.stderr)  # noqa: T201 - told beside the answer
        schema_option = options.schema
        plain = argparse.Namespace(**{**vars(options), "schema": None})
        self._prompt = text
        self._arguments: dict[str, Any] = {
            "schema": None if schema_option is None else schema_of_any_type(schema_option, names),
            "system": system,
            "model": options.model,
            "generation_kwargs": generation_kwargs(plain, names),
            "max_cost": options.max_cost,
            "allow_secrets": options.allow_secrets,
        }

    async def ask(self) -> MapResult | str:
        """Ask for the column, bind and show the result; of a dry run, return what it would take.

        Raises
        ------
        CellError
            It failed or was interrupted; what was answered is kept.
        """
        from orchat.mapping import MapEstimate, map_async

        try:
            result: MapResult | MapEstimate = await map_async(
                self._prompt, self._data, dry_run=bool(self._options.dry_run), **self._arguments
            )
        except asyncio.CancelledError as error:
            if (partial := getattr(error, "partial", None)) is None:
                raise
            self._show(partial)
            raise CellError("interrupted; what was answered is kept, and running the cell again goes on") from error
        except OrchatError as error:
            if self._options.debug:
                error.shows_whole_traceback = True
                raise
            raise CellError(" ".join(str(error).split())) from error
        if isinstance(result, MapEstimate):
            return str(result)
        self._show(result)
        return result

    def _show(self, result: Any) -> None:
        if self._options.out:
            self._shell.user_ns[self._options.out] = result
        if self._shows_result:
            display(result)  # type: ignore[no-untyped-call]
