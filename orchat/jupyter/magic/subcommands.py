"""The sub-commands of ``%openrouter``: their table, dispatch and implementations.

Each is a function of the session and its words. It returns text to print, or a coroutine function to await.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine, Mapping, Sequence
from decimal import Decimal
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from IPython.core.error import UsageError

from orchat._version import __version__
from orchat.configuration import SETTINGS, configure, effective_setting, resolve_model_alias, setting
from orchat.errors import ConfigurationError, OrchatError
from orchat.jupyter.kernel.coroutine_runner import CellError
from orchat.jupyter.kernel.output.turn_transcript import call_text
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters, single_line
from orchat.jupyter.magic.cell_turn_runner import CellTurnRunner
from orchat.jupyter.magic.mcp_command import USAGE as MCP_USAGE
from orchat.jupyter.magic.option_parser import MAGIC, closest_match, help_text, parse_options
from orchat.secrets import redact

if TYPE_CHECKING:
    from orchat.chat.approval import Decision
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.jupyter.kernel.conversations.notebook_conversations import NotebookConversation
    from orchat.jupyter.magic.magic_session import MagicSession
    from orchat.messages import ToolCall

SubcommandResult: TypeAlias = "str | Callable[[], Coroutine[Any, Any, Reply | str]]"
"""Text to print; or a coroutine function that queries a model or the page for it."""


class Subcommand(NamedTuple):
    """A sub-command.

    Parameters
    ----------
    run
        The implementation.
    usage
        Its arguments, for the help text.
    help
        Its purpose, in a line.
    """

    run: Callable[[MagicSession, Sequence[str]], SubcommandResult]
    usage: str
    help: str


def run_subcommand(session: MagicSession, text: str) -> SubcommandResult:
    """Dispatch a line to its sub-command, and return its result.

    Raises
    ------
    UsageError
        The sub-command is unknown or failed; IPython shows the message as one line.
    """
    try:
        name, *words = shlex.split(text) or ["help"]
    except ValueError:  # an apostrophe: a question that lacks its dashes
        name, *words = text.split()
    command = COMMANDS.get({"-h": "help", "--help": "help", "?": "help"}.get(name, name))
    if command is None:
        hint = closest_match(name, COMMANDS) or f"There are {', '.join(COMMANDS)}."
        said = redact(text)  # it may be a key, at the wrong place
        raise UsageError(
            f"There is no %{MAGIC} {redact(name)}. {hint} A prompt goes behind two dashes: %{MAGIC} -- {said}"
        )
    if words and not command.usage and command.run is not _help:
        raise UsageError(f"%{MAGIC} {name} takes nothing more, such as {redact(words[0])}. See %{MAGIC} help.")
    options = [word.strip("[]") for word in command.usage.split() if "--" in word]
    if options and (wrong := [word for word in words if word.startswith("--") and word not in options]):
        raise UsageError(f"%{MAGIC} {name} has no option {redact(wrong[0])}. There are {', '.join(options)}.")
    try:
        result = command.run(session, words)
    except OrchatError as error:
        raise UsageError(str(error)) from None
    return escape_control_characters(result) if isinstance(result, str) else result


def _help(session: MagicSession, words: Sequence[str]) -> str:
    width = max(len(f"{name} {command.usage}") for name, command in COMMANDS.items())
    lines = [f"  %{MAGIC} {f'{name} {c.usage}'.ljust(width)}  {c.help}" for name, c in COMMANDS.items()]
    return f"{help_text()}\nsub-commands:\n" + "\n".join(lines)


def _version(session: MagicSession, words: Sequence[str]) -> str:
    return f"orchat {__version__}"


def _models(session: MagicSession, words: Sequence[str]) -> str:
    from orchat.default_factories import listed_models
    from orchat.openrouter.model_table import list_models

    catalog = listed_models()
    query = " ".join(word for word in words if word != "--free")
    table = list_models(catalog, query, free="--free" in words).rstrip("\n")
    if catalog.failure is None:
        return table
    return f"{table}\nThis list is {catalog.age_text}: {single_line(catalog.failure.message)}"


def _key(session: MagicSession, words: Sequence[str]) -> str:
    from orchat.jupyter.magic.key_command import key_command

    return key_command(words)


def _fix(session: MagicSession, words: Sequence[str]) -> SubcommandResult:
    from orchat.jupyter.magic.error_context import last_error_context
    from orchat.jupyter.magic.turn_request import PromptRequest
    from orchat.prompt_language.interpolation import verbatim_prompt

    failure = last_error_context(session.shell, session.hidden_error)
    if failure is None:
        return "No cell has failed yet."
    print(failure.summary)  # noqa: T201 - said before anything is sent
    options = parse_options("-f code --no-history " + shlex.join(words))
    request = PromptRequest(verbatim_prompt(failure.prompt()), options.model)
    return lambda: CellTurnRunner(session, options, fixes=failure.cells).ask(request, None)


def _panel(session: MagicSession, words: Sequence[str]) -> str:
    from IPython.display import display

    # By the front door: the magics know nothing of panels.
    display(import_module("orchat").ChatPanel(name=" ".join(words) or None))  # type: ignore[no-untyped-call]
    return ""


def _strip(session: MagicSession, words: Sequence[str]) -> str:
    from orchat.jupyter.kernel.cell_storage.notebook_file import strip_files

    paths = [word for word in words if not word.startswith("--")]
    if not paths:
        raise ConfigurationError(
            "Which notebook?", hint=f"%{MAGIC} strip [--check] [--outputs] FILES; save them first."
        )
    counts = strip_files(paths, check="--check" in words, outputs="--outputs" in words)
    what = "holds" if "--check" in words else "is rid of"
    return "\n".join(f"{path} {what} {count} things of orchat." for path, count in counts) or "Nothing of orchat there."


def _cost(session: MagicSession, words: Sequence[str]) -> str:
    from orchat.chat.money import Cost
    from orchat.default_factories import session_budget

    budget = session_budget()
    left = ""
    if budget.left is not None and budget.limit is not None:
        left = f", {Cost(max(budget.left, Decimal(0)))} of {Cost(budget.limit)} are left"
    lines = [f"this session: {budget.spent}{left}"]
    lines += [
        f"  {conversation.name}: {conversation.cost}, {_turn_count(conversation)}"
        for conversation in session.conversations
    ]
    return "\n".join(lines)


def _chats(session: MagicSession, words: Sequence[str]) -> str:
    lines = []
    for conversation in session.conversations:
        waiting = conversation.parked_turn
        waits = f", waits for your decision about {', '.join(map(call_text, waiting[1].values()))}" if waiting else ""
        last = conversation.turns[-1].messages[0].text if conversation.turns else None
        lines.append(
            f"{conversation.name}: {_turn_count(conversation)}{waits}"
            + (f", last: {single_line(last, 60)}" if last else "")
        )
    return "\n".join(lines) or "No conversation yet. The first question begins one."


def _turn_count(conversation: NotebookConversation) -> str:
    count = len(conversation.turns)
    return f"{count} turn{'' if count == 1 else 's'}"


def _selected_conversation(session: MagicSession, words: Sequence[str]) -> NotebookConversation:
    from orchat.jupyter.kernel.conversations.notebook_conversations import DEFAULT_CONVERSATION

    return session.conversations.named(" ".join(words) or DEFAULT_CONVERSATION)


def _reset(session: MagicSession, words: Sequence[str]) -> str:
    chosen = list(session.conversations) if "--all" in words else [_selected_conversation(session, words)]
    lines = [f"{conversation.name}: {_turn_count(conversation)} forgotten." for conversation in chosen]
    for conversation in chosen:
        conversation.reset()
    return "\n".join(lines) or "There is no conversation."


def _undo(session: MagicSession, words: Sequence[str]) -> str:
    conversation = _selected_conversation(session, words)
    turn = conversation.undo()
    if turn is None:
        return f"{conversation.name} has no turn to take back."
    return f"{conversation.name}: taken back: {single_line(turn.messages[0].text or '', 80)}"


def _fork(session: MagicSession, words: Sequence[str]) -> str:
    from orchat.jupyter.kernel.conversations.notebook_conversations import DEFAULT_CONVERSATION

    if not 1 <= len(words) <= 2:
        raise ConfigurationError("A fork needs a name.", hint=f"%{MAGIC} fork [FROM] NAME")
    old = words[0] if len(words) == 2 else DEFAULT_CONVERSATION
    new = session.conversations.fork(old, words[-1])
    for turn, twin in zip(session.conversations[old].turns, new.turns, strict=True):
        if (chat := session.chats_by_turn.get(turn)) is not None:
            session.chats_by_turn[twin] = chat
    return f"{new.name} goes on from {old} ({_turn_count(new)}): ask with --chat {shlex.quote(new.name)}."


def _restore(session: MagicSession, words: Sequence[str]) -> SubcommandResult:
    from orchat.jupyter.magic.conversation_restore import restore_session

    async def restored_text() -> str:
        try:
            return escape_control_characters(repr(await restore_session(session, " ".join(words) or None)))
        except OrchatError as error:
            raise CellError(str(error)) from None

    return restored_text


def _alias(session: MagicSession, words: Sequence[str]) -> str:
    aliases: dict[str, str] = dict(setting("aliases"))
    if len(words) > 2:
        raise ConfigurationError("An alias is one word.", hint=f"%{MAGIC} alias NAME MODEL")
    if len(words) == 2:
        name, model = words
        if model == "-":
            aliases.pop(name, None)
        else:
            aliases[name] = model
        configure("aliases", aliases, f"%{MAGIC} alias")
    shown = {name: aliases[name] for name in words[:1] if name in aliases} if words else aliases
    return "\n".join(f"{name} -> {model}" for name, model in shown.items()) or "No such alias."


def _mcp(session: MagicSession, words: Sequence[str]) -> SubcommandResult:
    from orchat.jupyter.magic.mcp_command import mcp_command

    return mcp_command(session, words)


def _params(session: MagicSession, words: Sequence[str]) -> str:
    rows = [(name, *effective_setting(name)) for name in SETTINGS]
    cells = [(name, "" if value is None else redact(str(value)), source) for name, value, source in rows]
    first, second, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    lines = [f"{name.ljust(first)}  {value.ljust(second)}  {source}".rstrip() for name, value, source in cells]
    return "\n".join(
        [_answering_host(), *lines, "Change one with %config OpenRouterMagics.NAME = VALUE, for this session."]
    )


def _answering_host() -> str:
    """Return a line that names the model and the host that a question goes to."""
    from orchat.openrouter.dialect import DEFAULT_BASE_URL, LOCAL_PREFIX

    model = resolve_model_alias(None)
    if model.startswith(LOCAL_PREFIX):
        return f"{model} answers on this machine."
    address = urlsplit(str(setting("base_url") or DEFAULT_BASE_URL))
    host = f"{address.hostname or '?'}{f':{address.port}' if address.port else ''}"
    return f"{single_line(model, 120)} answers at {single_line(host, 120)}."


def _approve(session: MagicSession, words: Sequence[str]) -> SubcommandResult:
    from orchat.chat.approval import Approve

    return _decide(session, words, lambda call: Approve())


def _reject(session: MagicSession, words: Sequence[str]) -> SubcommandResult:
    from orchat.chat.approval import Reject

    return _decide(session, (), lambda call: Reject(" ".join(words)))


def _decide(session: MagicSession, wanted: Sequence[str], decision: Callable[[ToolCall], Decision]) -> SubcommandResult:
    """Resume the turn that was parked last, with one decision for each of its calls, or for the named ones."""
    waiting = [(conversation, *found) for conversation in session.conversations if (found := conversation.parked_turn)]
    if not waiting:
        return "No tool call waits for a decision."
    conversation, turn, calls = max(waiting, key=lambda found: found[1].location.execution)
    chosen = {place for word in wanted for place in _matching_calls(word, calls)} if wanted else set(calls)
    # A turn that was read from a file has no chat: its calls run nothing here.
    if (chat := session.chats_by_turn.get(turn)) is None:
        raise ConfigurationError(
            "The tools of this conversation are gone with the kernel that knew them.",
            hint="Run the cell that asked again.",
        )
    decided = {place: decision(call) for place, call in calls.items() if place in chosen}
    return lambda: CellTurnRunner(session, parse_options("")).resume(conversation, turn, chat, decided)


def _matching_calls(word: str, calls: Mapping[CallPlace, ToolCall]) -> list[CallPlace]:
    """Return the places of the calls of a tool, else of the call with that id, which the endpoint chose.

    Raises
    ------
    ConfigurationError
        There is no such call, or several have that id (a ValueError).
    """
    of_tool = [place for place, call in calls.items() if call.tool_name == word]
    found = of_tool or [place for place, call in calls.items() if call.id == word]
    if not found or (len(found) > 1 and not of_tool):
        which = "No call" if not found else "More than one call"
        there = ", ".join(map(call_text, calls.values()))
        raise ConfigurationError(f"{which} {word} waits.", hint=f"These do: {there}.")
    return found


COMMANDS: dict[str, Subcommand] = {
    "models": Subcommand(_models, "[QUERY] [--free]", "models, their context and their prices"),
    "key": Subcommand(_key, "[check|set|forget]", "your key: what it may still spend; put one in place; take it away"),
    "cost": Subcommand(_cost, "", "what this session has spent"),
    "chats": Subcommand(_chats, "", "the conversations of this notebook"),
    "undo": Subcommand(_undo, "[CHAT]", "take the last turn of a conversation back"),
    "reset": Subcommand(_reset, "[CHAT | --all]", "forget what was said in a conversation"),
    "fix": Subcommand(_fix, "[MODEL]", "explain the last error, and propose the corrected cell below"),
    "mcp": Subcommand(_mcp, MCP_USAGE, "tools of MCP servers, for -T: connect one, list its tools, end it"),
    "panel": Subcommand(_panel, "[NAME]", "a chat panel in this cell"),
    "strip": Subcommand(_strip, "[--check] [--outputs] FILES", "take what orchat keeps out of notebook files"),
    "fork": Subcommand(_fork, "[CHAT] NAME", "go on from here under another name"),
    "approve": Subcommand(_approve, "[TOOL ...]", "let the tool calls run that wait, as they were shown"),
    "reject": Subcommand(_reject, "[REASON]", "refuse the tool calls that wait; the model is told why"),
    "restore": Subcommand(_restore, "[FILE]", "rebuild the conversations from the notebook's cells, or from a file"),
    "alias": Subcommand(_alias, "[NAME [MODEL]]", "a short name for a model; - as the model takes it away"),
    "params": Subcommand(_params, "", "the settings in force, and where each comes from"),
    "help": Subcommand(_help, "", "this"),
    "version": Subcommand(_version, "", "the version of orchat"),
}
"""All sub-commands, by name."""
