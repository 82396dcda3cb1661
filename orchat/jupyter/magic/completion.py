"""Complete the lines and cells of the magics: options, models, conversations, tools, and ``{variables`` in the prompt.

Everything comes from what is here already: nobody is asked, and no code of a value runs (`orchat.rendering.peeking`).
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchat.jupyter.magic.options import MAGIC, POLICIES, OneOf, option_table
from orchat.jupyter.magic.words import unfinished
from orchat.rendering.peeking import NOTHING, attribute, attributes, item, keys

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

Names = Callable[[], Iterable[str]]

_MOST = 300
_CELL = re.compile(rf"\s*%%{MAGIC}\b[ \t]?")
_LINE = re.compile(rf"(?:^|.*?[=\s])%{MAGIC}[ \t]+")
_FIELD = re.compile(r"\{([^{}\n]*)$")
_PATH = re.compile(r"(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*|\[(?:\d+|\"[^\"\]]*\"|'[^'\]]*')\])*)(?P<last>\.\w*|\[[^\]]*)")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\[[\"']([^\]]*)[\"']\]")
_KERNEL_TOOLS = ("run_python", "inspect_variable")


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
        The sub-commands of the line magic.
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

        self._matcher = context_matcher(identifier="orchat")(match)
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
        completions = [SimpleCompletion(text=text) for text in texts[:_MOST]]
        return {"completions": completions, "suppress": True, "ordered": True, "matched_fragment": fragment}

    def at(self, text: str, row: int, column: int) -> tuple[str, list[str]] | None:
        """Return the fragment before the cursor and what may stand in its place; None outside of our magics."""
        lines = text.split("\n")
        before = lines[row][:column] if row < len(lines) else ""
        if found := _CELL.match(lines[0]):
            if row == 0:
                return self._word(before[found.end() :], commands=False)
            body = "\n".join([*lines[1:row], before])
            return self._in_prose(body, "\n".join([lines[row][column:], *lines[row + 1 :]]))
        if (found := _LINE.match(before)) is None:
            return None
        words, prompt = before[found.end() :], None
        if (parted := re.match(r"(.*?\s|)--\s(.*)", words)) is not None:
            prompt = parted[2]
        return self._word(words, commands=True) if prompt is None else self._in_prose(prompt, lines[row][column:])

    # -- the line -----------------------------------------------------------------------------------------------

    def _word(self, words: str, *, commands: bool) -> tuple[str, list[str]]:
        done, last = unfinished(words)
        table = option_table()
        action = table.get(done[-1]) if done else None
        if action is not None and action.option_strings and action.nargs != 0:
            return last, self._values(action, last)
        if last.startswith("-"):
            return last, [name for name in table if name.startswith("--" if last.startswith("--") else "-")
                          and name.startswith(last)]  # fmt: skip
        first = list(filter(lambda name: name.startswith(last), self._commands())) if commands and not done else []
        return last, [*first, *self._model_names(last)]

    def _values(self, action: Any, last: str) -> list[str]:
        if isinstance(action.type, OneOf):
            return _starting(action.type.known, last)
        match action.metavar:
            case "MODEL":
                return self._model_names(last)
            case "THREAD":
                return [shlex.quote(name) for name in _starting(self._threads(), last.strip("\"'"))]
            case "TOOL":
                return _starting(self._tools(), last)
            case "POLICY":
                return _starting(POLICIES, last)
            case "NAME":
                return _starting(self._names(), last)
            case "NAME_OR_JSON":
                names = self._names()
                return [name for name in _starting(names, last) if isinstance(names[name], type | dict)]
            case "FILE_OR_URL":
                return _files(last)
        return []

    def _model_names(self, last: str) -> list[str]:
        wanted = last.lower()
        known = dict.fromkeys([*self._aliases(), *self._models()])
        found = [name for name in known if wanted in name.lower()]
        return sorted(found, key=lambda name: _distance(name.lower(), wanted))

    def _tools(self) -> list[str]:
        from types import FunctionType

        from orchat.tools import Tool, Toolset

        names = self._names()
        kinds = (Tool, Toolset, FunctionType)
        return [*(name for name in names if issubclass(type(names[name]), kinds)), *_KERNEL_TOOLS]

    # -- the prompt ---------------------------------------------------------------------------------------------

    def _in_prose(self, before: str, after: str) -> tuple[str, list[str]]:
        from orchat.jupyter.prompt.prose import fields

        if (found := _FIELD.search(before)) is None:
            return "", []
        # Would it be a field if it were whole?
        text = f"{before[: found.start()]}{{x}}{after.lstrip('}') if after.startswith('}') else after}"
        if not any(field.start == found.start() and field.in_prose for field in fields(text)):
            return "", []
        typed = found[1]
        if (path := _PATH.fullmatch(typed)) is None:
            return typed, _starting((name for name in self._names() if not name.startswith("_")), typed)
        value = self._value(path["path"])
        if value is NOTHING:
            return typed, []
        if path["last"].startswith("."):
            return path["last"], ["." + name for name in _starting(attributes(value), path["last"][1:])]
        wanted = path["last"][1:].strip("\"'")
        return path["last"], [f"[{_written(key)}]" for key in keys(value) if str(key).startswith(wanted)]

    def _value(self, path: str) -> object:
        """Return what a path leads to, as far as that can be found without running anything."""
        root = re.match(r"\w+", path)
        names = self._names()
        if root is None or root[0] not in names:
            return NOTHING
        value = names[root[0]]
        for step in _STEP.finditer(path, root.end()):
            if step[1] is not None:
                value = attribute(value, step[1])
            else:
                value = item(value, int(step[2]) if step[2] is not None else step[3])
            if value is NOTHING:
                return NOTHING
        return value


def _starting(names: Iterable[str], start: str) -> list[str]:
    return [name for name in names if name.startswith(start)]


def _distance(name: str, wanted: str) -> tuple[int, int]:
    """Sort a name's beginning before a model's own name, and that before anything else."""
    if name.startswith(wanted):
        return 0, len(name)
    return (1 if name.rpartition("/")[2].startswith(wanted) else 2), len(name)


def _written(key: str | int) -> str:
    return str(key) if isinstance(key, int) else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _files(start: str) -> list[str]:
    bare = start.strip("\"'")
    found = sorted(glob.glob(glob.escape(os.path.expanduser(bare)) + "*"))[:_MOST]
    texts = [each + os.sep if os.path.isdir(each) else each for each in found]
    return [text if " " not in text else f'"{text}"' for text in texts]
