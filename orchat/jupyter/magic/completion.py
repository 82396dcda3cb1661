"""Complete the lines and cells of the magics: options, models, conversations, tools, and ``{variables`` in the prompt.

All names come from the kernel's memory: no network request, and no code of a value runs
(`orchat.rendering.static_lookup`).
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from orchat.jupyter.kernel.prompt.placeholder_completion import MAX_COMPLETIONS, complete_placeholder, with_prefix
from orchat.jupyter.magic.line_tokenizer import incomplete_word, split_prompt
from orchat.jupyter.magic.option_parser import MAGIC, POLICIES, Choice, option_table

if TYPE_CHECKING:
    import argparse

    from IPython.core.completer import CompletionContext
    from IPython.core.interactiveshell import InteractiveShell

NameSource = Callable[[], Iterable[str]]

_CELL_MAGIC = re.compile(rf"[ \t]*%%{MAGIC}(?=[ \t]|$)")
_LINE_MAGIC = re.compile(rf"\s*+(?:[\w.,\[\]'\" ]++=\s*+)?%{MAGIC}[ \t]+")
_VERB_ARGUMENTS = {"add": "FILE", "tools": "SERVER", "remove": "SERVER"}  # of sub-commands that begin with a verb
_KERNEL_TOOLS = ("run_python", "inspect_variable", "notebook", "analyst")
_PRIORITY = 1_000


class _NoCompletions(list[Any]):
    """An empty list of length one: IPython lets a matcher suppress others only if it has completions, by ``len``."""

    def __len__(self) -> int:
        return 1


class Completions:
    """Complete the text before the cursor in ``%%openrouter`` and ``%openrouter``.

    Parameters
    ----------
    shell
        The running IPython.
    names
        Return the user's variables.
    models, aliases, conversations, servers
        Return the ids of models, their aliases, and the names of conversations and MCP servers.
    commands
        Return the sub-commands of the line magic; a mapping adds the usage of each, such as ``"[CHAT | --all]"``.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        *,
        names: Callable[[], Mapping[str, object]],
        models: NameSource,
        aliases: NameSource,
        conversations: NameSource,
        commands: NameSource,
        servers: NameSource = tuple,
    ) -> None:
        self._shell = shell
        self._names = names
        self._models = models
        self._aliases = aliases
        self._conversations = conversations
        self._commands = commands
        self._servers = servers
        self._matcher: Any = None

    def register(self) -> None:
        """Register the matcher with IPython's completer."""
        from IPython.core.completer import context_matcher

        def match(context: CompletionContext) -> Any:  # a function, for IPython writes upon it
            return self._match(context)

        self._matcher = context_matcher(identifier="orchat", priority=_PRIORITY)(match)
        self._shell.Completer.custom_matchers.append(self._matcher)

    def unregister(self) -> None:
        """Undo `register`."""
        matchers = self._shell.Completer.custom_matchers
        matchers[:] = [each for each in matchers if each is not self._matcher]

    def _match(self, context: CompletionContext) -> Any:
        from IPython.core.completer import SimpleCompletion

        try:
            found = self.complete_at(context.full_text, context.cursor_line, context.cursor_position)
        except Exception:  # noqa: BLE001 - a completer that raises would end the completion of everything
            found = None
        if found is None:
            return {"completions": [], "suppress": False}
        fragment, texts = found
        completions = [SimpleCompletion(text=text) for text in texts] or _NoCompletions()
        return {"completions": completions, "suppress": True, "ordered": True, "matched_fragment": fragment}

    def complete_at(self, text: str, row: int, column: int) -> tuple[str, list[str]] | None:
        """Return the fragment before the cursor and its replacements; None outside of the magics."""
        lines = text.split("\n")
        if row >= len(lines):
            return None
        before, after = lines[row][:column], lines[row][column:]
        top = _first_content_line(lines)
        if (found := _CELL_MAGIC.match(lines[top])) is not None:
            if row > top:
                if "--raw" in incomplete_word(lines[top][found.end() :] + " ")[0]:
                    return "", []
                body, rest = lines[top + 1 : row], lines[row + 1 :]
                return complete_placeholder("\n".join([*body, before]), "\n".join([after, *rest]), self._names())
            if row == top and column > found.end():
                return self._complete_word(before[found.end() :], commands=False)
            return None  # the name of a magic is for IPython
        if (found := _LINE_MAGIC.match(before)) is None:
            return None
        return self._complete_line(before[found.end() :], after)

    # -- the line -----------------------------------------------------------------------------------------------

    def _complete_line(self, words: str, after: str) -> tuple[str, list[str]]:
        try:
            options, prompt = split_prompt(words)
        except UsageError:  # a quotation that does not end yet
            options, prompt = words, None
        if prompt is None or len(words) == len(options) + 2:  # dashes that an option may follow
            return self._complete_word(words, commands=True)
        if "--raw" in incomplete_word(options)[0]:
            return "", []
        return complete_placeholder(words[len(options) + 2 :], after, self._names())

    def _complete_word(self, words: str, *, commands: bool) -> tuple[str, list[str]]:
        done, fragment = incomplete_word(words)
        known = self._commands() if commands else ()
        if done and done[0] in known:
            usage = known[done[0]] if isinstance(known, Mapping) else ""
            return fragment, self._subcommand_arguments(usage, done[1:], fragment)
        table = option_table()
        if fragment.startswith("--") and "=" in fragment:
            option, _, fragment = fragment.partition("=")
            done.append(option)
        action = table.get(done[-1]) if done else None
        if action is not None and action.option_strings and action.nargs != 0:
            return fragment, self._option_values(action, fragment)
        options = [name for name in table if name.startswith("-")]
        if fragment.startswith("-"):
            return fragment, [
                name for name in with_prefix(options, fragment) if name[:2] == fragment[:2] or fragment == "-"
            ]
        if _names_a_model(done):
            return fragment, [name for name in options if name.startswith("--")] if not fragment else []
        first = with_prefix(known, fragment) if not done else []
        return fragment, [*first, *self._model_names(fragment), *([] if fragment else with_prefix(options, "--"))]

    def _subcommand_arguments(self, usage: str, done: list[str], fragment: str) -> list[str]:
        """Return the completions of a sub-command's next argument; of alternatives, of the one that was begun."""
        alternatives = [re.findall(r"[\w-]+", each) for each in usage.split(" | ")]
        if done and done[:1] in alternatives:
            alternatives = [[_VERB_ARGUMENTS.get(done[0], "")]]
        elif len(alternatives) > 1:
            alternatives = [each[:1] if each[:1] and each[0].islower() else each for each in alternatives]
        found: list[str] = []
        for word in dict.fromkeys(word for each in alternatives for word in each):
            match word:
                case "CHAT":
                    found += self._conversation_names(fragment)
                case "MODEL":
                    found += self._model_names(fragment)
                case "SERVER":
                    found += with_prefix(self._servers(), fragment)
                case "FILE" | "FILES":
                    found += _matching_files(fragment)
                case _ if word and not word.isupper():
                    found += with_prefix([word], fragment)
        return found

    def _option_values(self, action: Any, fragment: str) -> list[str]:
        if isinstance(action.type, Choice):
            return with_prefix(action.type.choices, fragment)
        match action.metavar:
            case "MODEL":
                return self._model_names(fragment)
            case "THREAD":
                return self._conversation_names(fragment)
            case "TOOL":
                return with_prefix(self._tool_names(), fragment)
            case "POLICY":
                return with_prefix(POLICIES, fragment)
            case "NAME":
                return with_prefix(self._names(), fragment)
            case "NAME_OR_JSON":
                names = self._names()
                return [name for name in with_prefix(names, fragment) if issubclass(type(names[name]), type | dict)]
            case "FILE_OR_URL":
                return _matching_files(fragment)
        return []

    def _model_names(self, fragment: str) -> list[str]:
        wanted = fragment.lower()
        known = dict.fromkeys([*self._aliases(), *self._models()])
        found = [name for name in known if wanted in name.lower()]
        return sorted(found, key=lambda name: _match_rank(name.lower(), wanted))[:MAX_COMPLETIONS]

    def _conversation_names(self, fragment: str) -> list[str]:
        return [shlex.quote(name) for name in with_prefix(self._conversations(), fragment.strip("\"'"))]

    def _tool_names(self) -> list[str]:
        from types import FunctionType

        from orchat.tools import Tool, Toolset

        names = self._names()
        kinds = (Tool, Toolset, FunctionType)
        found = [name for name in names if issubclass(type(names[name]), kinds)]
        return list(dict.fromkeys([*found, *self._servers(), *_KERNEL_TOOLS]))


def _first_content_line(lines: list[str]) -> int:
    """Return the index of a cell's first line, behind empty lines and outer magics such as ``%%time``."""
    for number, line in enumerate(lines):
        if line.strip() and (not line.lstrip().startswith("%%") or _CELL_MAGIC.match(line)):
            return number
    return 0


def _names_a_model(words: list[str]) -> bool:
    """Return whether one of the complete words is the model's name."""
    table = option_table()
    behind: argparse.Action | None = None
    for word in words:
        if behind is None and not word.startswith("-"):
            return True
        action = table.get(word) if behind is None else None
        behind = action if action is not None and action.nargs != 0 else None
    return False


def _match_rank(name: str, wanted: str) -> tuple[int, int]:
    """Return the sort key of a model's name: matches at its start first, then after the vendor, then elsewhere."""
    if name.startswith(wanted):
        return 0, len(name)
    return (1 if name.rpartition("/")[2].startswith(wanted) else 2), len(name)


def _matching_files(start: str) -> list[str]:
    bare = start.strip("\"'")
    if "://" in bare:
        return []
    found = glob.glob(glob.escape(os.path.expanduser(bare)) + "*")
    texts = sorted(each + os.sep if os.path.isdir(each) else each for each in found if each.isprintable())
    return [shlex.quote(text) for text in texts[:MAX_COMPLETIONS]]
