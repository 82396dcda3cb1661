"""Complete the lines and cells of the magics: options, models, conversations, tools, and ``{variables`` in the prompt.

Everything comes from what is here already: nobody is asked, and no code of a value runs
(`orchat.rendering.static_lookup`).
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from orchat.jupyter.magic.line_splitting import incomplete_word, split_prompt
from orchat.jupyter.magic.option_parser import MAGIC, POLICIES, Choice, option_table
from orchat.rendering.static_lookup import (
    NOTHING,
    get_attribute_static,
    get_item_static,
    static_attributes,
    static_keys,
)

if TYPE_CHECKING:
    import argparse

    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

Names = Callable[[], Iterable[str]]

_MOST = 300
_CELL = re.compile(rf"[ \t]*%%{MAGIC}(?=[ \t]|$)")
_LINE = re.compile(rf"\s*(?:[\w.,\[\]'\" ]+=\s*)?%{MAGIC}[ \t]+")
_FIELD = re.compile(r"\{([^{}\n]*)$")
_PATH = re.compile(r"(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*|\[(?:\d+|\"[^\"\]]*\"|'[^'\]]*')\])*)(?P<last>\.\w*|\[[^\]]*)")
_REST = re.compile(r"^[\w.\[\]\"']*\}")  # of a field that the cursor stands in
_CLOSED = re.compile(r"[\"']?\]")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[[\"']([^\]]*)[\"']\]")
_UNFIT = frozenset("\\[]{}\n")  # no key that holds one of these can stand in a field
_KERNEL_TOOLS = ("run_python", "inspect_variable")
_FIRST = 1_000


class _Nothing(list[Any]):
    """No completions; IPython lets only those who have some keep the others quiet, and asks for their number."""

    def __len__(self) -> int:
        return 1


class Completions:
    """What can follow where the cursor stands in ``%%openrouter`` and ``%openrouter``.

    Parameters
    ----------
    shell
        The running IPython.
    names
        The user's variables.
    models, aliases, threads
        Names of models, short names of models, and names of conversations.
    commands
        The sub-commands of the line magic; where it is a mapping, with what may stand behind each, as its help says
        that: ``"[CHAT | --all]"``.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        names: Callable[[], Mapping[str, object]],
        models: Names,
        aliases: Names,
        threads: Names,
        commands: Names,
    ) -> None:
        self._shell = shell
        self._names = names
        self._models = models
        self._aliases = aliases
        self._threads = threads
        self._commands = commands
        self._matcher: Any = None

    def register(self) -> None:
        """Let IPython ask."""
        from IPython.core.completer import context_matcher

        def match(context: CompletionContext) -> Any:  # a function, for IPython writes upon it
            return self._match(context)

        self._matcher = context_matcher(identifier="orchat", priority=_FIRST)(match)
        self._shell.Completer.custom_matchers.append(self._matcher)

    def unregister(self) -> None:
        """Undo `register`."""
        matchers = self._shell.Completer.custom_matchers
        matchers[:] = [each for each in matchers if each is not self._matcher]

    def _match(self, context: CompletionContext) -> Any:
        from IPython.core.completer import SimpleCompletion

        try:
            found = self.at(context.full_text, context.cursor_line, context.cursor_position)
        except Exception:  # noqa: BLE001 - a completer that raises would end the completion of everything
            found = None
        if found is None:
            return {"completions": [], "suppress": False}
        fragment, texts = found
        completions = [SimpleCompletion(text=text) for text in texts] or _Nothing()
        return {"completions": completions, "suppress": True, "ordered": True, "matched_fragment": fragment}

    def at(self, text: str, row: int, column: int) -> tuple[str, list[str]] | None:
        """Return the fragment before the cursor and what may stand in its place; None outside of our magics."""
        lines = text.split("\n")
        if row >= len(lines):
            return None
        before, after = lines[row][:column], lines[row][column:]
        top = _first(lines)
        if (found := _CELL.match(lines[top])) is not None:
            if row > top:
                if "--raw" in incomplete_word(lines[top][found.end() :] + " ")[0]:
                    return "", []
                body, rest = lines[top + 1 : row], lines[row + 1 :]
                return self._in_prose("\n".join([*body, before]), "\n".join([after, *rest]))
            if row == top and column > found.end():
                return self._word(before[found.end() :], commands=False)
            return None  # the name of a magic is for IPython
        if (found := _LINE.match(before)) is None:
            return None
        return self._in_line(before[found.end() :], after)

    # -- the line -----------------------------------------------------------------------------------------------

    def _in_line(self, words: str, after: str) -> tuple[str, list[str]]:
        try:
            options, prompt = split_prompt(words)
        except UsageError:  # a quotation that does not end yet
            options, prompt = words, None
        if prompt is None or len(words) == len(options) + 2:  # dashes that an option may follow
            return self._word(words, commands=True)
        if "--raw" in incomplete_word(options)[0]:
            return "", []
        return self._in_prose(words[len(options) + 2 :], after)

    def _word(self, words: str, *, commands: bool) -> tuple[str, list[str]]:
        done, last = incomplete_word(words)
        known = self._commands() if commands else ()
        if done and done[0] in known:
            return last, self._behind(known[done[0]] if isinstance(known, Mapping) else "", last)
        table = option_table()
        if last.startswith("--") and "=" in last:
            option, _, last = last.partition("=")
            done.append(option)
        action = table.get(done[-1]) if done else None
        if action is not None and action.option_strings and action.nargs != 0:
            return last, self._values(action, last)
        options = [name for name in table if name.startswith("-")]
        if last.startswith("-"):
            return last, [name for name in _starting(options, last) if name[:2] == last[:2] or last == "-"]
        if _has_model(done):
            return last, [name for name in options if name.startswith("--")] if not last else []
        first = _starting(known, last) if not done else []
        return last, [*first, *self._model_names(last), *([] if last else _starting(options, "--"))]

    def _behind(self, usage: str, last: str) -> list[str]:
        """Return what may stand behind a sub-command."""
        found: list[str] = []
        for word in re.findall(r"[\w-]+", usage):
            match word:
                case "CHAT":
                    found += self._quoted_threads(last)
                case "MODEL":
                    found += self._model_names(last)
                case "FILE" | "FILES":
                    found += _files(last)
                case _ if not word.isupper():
                    found += _starting([word], last)
        return found

    def _values(self, action: Any, last: str) -> list[str]:
        if isinstance(action.type, Choice):
            return _starting(action.type.known, last)
        match action.metavar:
            case "MODEL":
                return self._model_names(last)
            case "THREAD":
                return self._quoted_threads(last)
            case "TOOL":
                return _starting(self._tools(), last)
            case "POLICY":
                return _starting(POLICIES, last)
            case "NAME":
                return _starting(self._names(), last)
            case "NAME_OR_JSON":
                names = self._names()
                return [name for name in _starting(names, last) if issubclass(type(names[name]), type | dict)]
            case "FILE_OR_URL":
                return _files(last)
        return []

    def _model_names(self, last: str) -> list[str]:
        wanted = last.lower()
        known = dict.fromkeys([*self._aliases(), *self._models()])
        found = [name for name in known if wanted in name.lower()]
        return sorted(found, key=lambda name: _distance(name.lower(), wanted))[:_MOST]

    def _quoted_threads(self, last: str) -> list[str]:
        return [shlex.quote(name) for name in _starting(self._threads(), last.strip("\"'"))]

    def _tools(self) -> list[str]:
        from types import FunctionType

        from orchat.tools import Tool, Toolset

        names = self._names()
        kinds = (Tool, Toolset, FunctionType)
        found = [name for name in names if issubclass(type(names[name]), kinds)]
        return list(dict.fromkeys([*found, *_KERNEL_TOOLS]))

    # -- the prompt ---------------------------------------------------------------------------------------------

    def _in_prose(self, before: str, after: str) -> tuple[str, list[str]]:
        from orchat.jupyter.kernel.prompt.placeholder_parser import find_placeholders

        if (found := _FIELD.search(before)) is None:
            return "", []
        # Would it be a field if it were whole?
        rest = _REST.sub("", after, count=1)
        text = f"{before[: found.start()]}{{x}}{rest}"
        if not any(field.start == found.start() and field.in_prose for field in find_placeholders(text)):
            return "", []
        typed = found[1]
        if (path := _PATH.fullmatch(typed)) is None:
            return typed, _starting(self._names(), typed)
        value, last = self._value(path["path"]), path["last"]
        if value is NOTHING:
            return "", []
        if last.startswith("."):
            return last, ["." + name for name in _starting(static_attributes(value), last[1:])]
        wanted = last[1:].strip("\"'")
        written = [_written(key, last[1:2]) for key in static_keys(value) if str(key).startswith(wanted)]
        closed = _CLOSED.match(after)  # by an editor that closes brackets by itself
        texts = [f"[{each}]" for each in written if each is not None][:_MOST]
        return last, [each.removesuffix(closed[0]) for each in texts] if closed else texts

    def _value(self, path: str) -> object:
        """Return what a path leads to, as far as that can be found without running anything."""
        root = re.match(r"\w+", path)
        names = self._names()
        if root is None or root[0] not in names:
            return NOTHING
        value = names[root[0]]
        for step in _STEP.finditer(path, root.end()):
            if step[1] is not None:
                value = get_attribute_static(value, step[1])
            else:
                value = get_item_static(value, int(step[2]) if step[2] is not None else step[3])
            if value is NOTHING:
                return NOTHING
        return value


def _first(lines: list[str]) -> int:
    """Return which line begins a cell, behind empty lines and magics that another one stands in, as ``%%time``."""
    for number, line in enumerate(lines):
        if line.strip() and (not line.lstrip().startswith("%%") or _CELL.match(line)):
            return number
    return 0


def _has_model(words: list[str]) -> bool:
    """Say whether one of some whole words names the model."""
    table = option_table()
    behind: argparse.Action | None = None
    for word in words:
        if behind is None and not word.startswith("-"):
            return True
        action = table.get(word) if behind is None else None
        behind = action if action is not None and action.nargs != 0 else None
    return False


def _starting(names: Iterable[str], start: str) -> list[str]:
    """Return the names that start so; private ones only where one is asked for."""
    found = (name for name in names if name.startswith(start) and (start or not name.startswith("_")))
    return list(islice(found, _MOST))


def _distance(name: str, wanted: str) -> tuple[int, int]:
    """Sort a name's beginning before a model's own name, and that before anything else."""
    if name.startswith(wanted):
        return 0, len(name)
    return (1 if name.rpartition("/")[2].startswith(wanted) else 2), len(name)


def _written(key: str | int, quote: str) -> str | None:
    """Return a key as it is written in a field, with the quotes that were begun; None where that cannot be."""
    if isinstance(key, int):
        return str(key) if key >= 0 and not quote.strip("0123456789") else None
    if not _UNFIT.isdisjoint(key):
        return None
    free = [each for each in ([quote] if quote in {'"', "'"} else ['"', "'"]) if each not in key]
    return f"{free[0]}{key}{free[0]}" if free else None


def _files(start: str) -> list[str]:
    bare = start.strip("\"'")
    if "://" in bare:
        return []
    found = glob.glob(glob.escape(os.path.expanduser(bare)) + "*")
    texts = sorted(each + os.sep if os.path.isdir(each) else each for each in found if each.isprintable())
    return [shlex.quote(text) for text in texts[:_MOST]]
