"""The command line interface: ``orchat demo``, ``ask``, ``map``, ``models``, ``store``, ``strip`` and ``local``.

``demo`` opens the quickstart notebook in JupyterLab (`orchat.quickstart_launcher`), ``ask`` streams one answer into the
terminal, ``map`` asks about each row of a file, ``models`` lists models and their prices, ``store`` lists and deletes
kept answers, ``strip`` takes conversations out of notebook files, ``local`` fetches the embedded model's weights. Each
command imports what it needs when it runs. They are one module, for they share how a prompt is read, an error or a
warning reported, and a process ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from orchat._version import __version__
from orchat.errors import ConfigurationError, OrchatError

if TYPE_CHECKING:
    from datetime import datetime

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended
BROKEN_PIPE = 141


class _Parser(argparse.ArgumentParser):
    """An argument parser that suggests the closest command for a mistyped one."""

    commands: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        if wrong := re.search(r"invalid choice: '([^']*)'", message):
            message = f"no command is called `{wrong[1]}`."
            if close := get_close_matches(wrong[1], self.commands, n=1):
                message += f" Did you mean `{self.prog} {close[0]}`?"
        super().error(message)

    def add_commands(self) -> argparse._SubParsersAction[_Parser]:
        added = self.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
        self.commands = added.choices.keys()  # type: ignore[assignment]  # a live view: it grows with the commands
        return added


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line.

    Examples
    --------
    >>> parser().parse_args(["ask", "What is a Markov chain?", "-t", "0"]).temperature
    0.0
    """
    top = _Parser(prog="orchat", description="Language models inside a notebook.")
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_commands()

    demo = commands.add_parser("demo", help="open the quickstart notebook; no account needed")
    demo.add_argument("folder", nargs="?", type=Path, default=Path("orchat-demo"), metavar="FOLDER")
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    demo.add_argument("--port", type=int, help="default: the first free one from 8888")
    demo.set_defaults(command=_demo)

    ask = commands.add_parser("ask", help="stream one answer into the terminal")
    ask.add_argument("prompt", nargs="?", help="the question; `-`, or nothing in a pipe, reads standard input")
    ask.add_argument("-m", "--model", help="a name or an alias; default: ORCHAT_MODEL")
    ask.add_argument("-s", "--system", help="a system message")
    ask.add_argument("-t", "--temperature", type=float)
    ask.add_argument("--allow-secrets", action="store_true", help="send keys and passwords of the question, too")
    ask.set_defaults(command=_ask)

    _add_map(commands)

    models = commands.add_parser("models", help="list models and their prices")
    models.add_argument("query", nargs="*", metavar="QUERY", help="words that the id or the name must hold")
    models.add_argument("--free", action="store_true", help="only the free ones")
    models.set_defaults(command=_models)

    store = commands.add_parser("store", help="list the answers that are kept, or delete some")
    store.add_argument("action", nargs="?", choices=["list", "clear"], default="list")
    store.add_argument("--file", metavar="FILE", help="default: ORCHAT_STORE, else a file in the user's data folder")
    store.add_argument("-m", "--model", help="clear only the answers of this model")
    store.add_argument("--older-than", type=float, metavar="DAYS", help="clear only those that are older")
    store.set_defaults(command=_store)

    strip = commands.add_parser("strip", help="take what orchat keeps out of notebook files")
    strip.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    strip.add_argument("--check", action="store_true", help="change nothing; fail if there is something")
    strip.add_argument("--outputs", action="store_true", help="the answers themselves, too")
    strip.set_defaults(command=_strip)

    local = commands.add_parser("local", help="the embedded model, which needs no account")
    actions = local.add_commands()
    actions.add_parser("download", help="fetch its weights, once (93 MB)").set_defaults(command=_local_download)
    actions.add_parser("status", help="say what is installed and where").set_defaults(command=_local_status)
    return top


def _add_map(commands: argparse._SubParsersAction[_Parser]) -> None:
    column = commands.add_parser("map", help="ask about each row of a file: .csv, .jsonl or .parquet")
    column.add_argument("file", type=Path, metavar="FILE")
    column.add_argument("-p", "--prompt", required=True, help="the question; {column} stands for a row's value")
    column.add_argument("-o", "--out", type=Path, metavar="OUT", help="the file for the rows and their answers")
    column.add_argument("--schema", help="a JSON Schema, a file of one, or labels such as good,bad")
    column.add_argument("-m", "--model", help="a name or an alias; default: ORCHAT_MODEL")
    column.add_argument("-s", "--system", help="a system message")
    column.add_argument("-t", "--temperature", type=float)
    column.add_argument("--max-cost", type=float, metavar="USD", help="end before more is spent")
    column.add_argument(
        "--allow-unknown-cost", action="store_true", help="with --max-cost: go on where a price is not known"
    )
    column.add_argument("--concurrency", type=int, metavar="N", help="at most so many requests at a time")
    column.add_argument("--store", metavar="FILE", help="where answers are kept; default: ORCHAT_STORE")
    column.add_argument("--delimiter", metavar="CHAR", help="what separates a CSV file's columns; the first line tells")
    column.add_argument("--dry-run", action="store_true", help="only say what it would take")
    column.add_argument("--allow-secrets", action="store_true", help="send what looks like a key, too")
    column.set_defaults(command=_map)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are one line on stderr."""
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        with _warnings_in_a_line():
            return command(arguments)
    except OrchatError as error:
        print(f"orchat: {_single_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read stdout has left; the interpreter must not complain when it flushes what remains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


@contextlib.contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Report what the block warns about, each once, as errors are: without a place in the code."""
    told: set[str] = set()

    def report(message: Warning | str, *_: object, **__: object) -> None:
        if (text := str(message)) not in told:
            told.add(text)
            _report(text)

    with warnings.catch_warnings():
        warnings.showwarning = report
        yield


def _single_line(text: str) -> str:
    from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters

    return escape_control_characters(" ".join(text.split()))


def _ask(arguments: argparse.Namespace) -> int:
    from orchat.chat.request_estimate import estimate_request
    from orchat.default_factories import connect, list_price, session_budget
    from orchat.jupyter.magic.configurable_traits import read_config_files
    from orchat.messages import ChatMessage

    read_config_files()
    prompt, system = _read_prompt(arguments.prompt), arguments.system or ""
    if not arguments.allow_secrets:
        prompt, system = _without_typed_secrets(prompt), _without_typed_secrets(system)
    messages = [ChatMessage.from_system(system)] if system else []
    messages.append(ChatMessage.from_user(prompt))
    settings = {} if arguments.temperature is None else {"temperature": arguments.temperature}
    budget = session_budget()  # before there is a generator: its limit may make no sense
    generator = connect(arguments.model, generation_kwargs=settings)
    printed = ""
    with contextlib.ExitStack() as opened:
        opened.enter_context(contextlib.closing(generator))
        if budget.limit is not None:  # the session of a command is one question
            estimate = estimate_request(list_price, generator.model, messages, (), generator.generation_kwargs)
            budget.reserve(estimate, generator.model)
        chunks = opened.enter_context(generator.stream(messages, on_retry=_report))
        try:
            for chunk in chunks:
                if chunk.content:
                    printed = chunk.content  # before it is: an interrupt may come right after
                    _print_piece(printed)
        finally:  # also after an interrupt: the shell's prompt, or the error, gets a line of its own
            if printed and not printed.endswith("\n"):
                _print_piece("\n")
            if printed and (note := chunks.message.meta.get("note")):
                print(f"[{_single_line(str(note))}]", file=sys.stderr)
            for warning in chunks.message.meta.get("warnings", ()):
                _report(warning)
    return 0


def _map(arguments: argparse.Namespace) -> int:
    from orchat.chat.money import Budget
    from orchat.configuration import setting
    from orchat.jupyter.magic.configurable_traits import read_config_files
    from orchat.mapping.file_map import estimate_file, map_file

    read_config_files()
    prompt, system = arguments.prompt, arguments.system
    if not arguments.allow_secrets:
        prompt, system = _without_typed_secrets(prompt), system and _without_typed_secrets(system)
    options = {
        "schema": _read_schema(arguments.schema),
        "system": system,
        "model": arguments.model,
        "generation_kwargs": {} if arguments.temperature is None else {"temperature": arguments.temperature},
        "concurrency": arguments.concurrency,
        "store": arguments.store,
        "allow_secrets": arguments.allow_secrets,
        "delimiter": arguments.delimiter,
    }
    if arguments.dry_run:
        _print_piece(f"{estimate_file(arguments.file, prompt, **options)}\n")
        return 0
    if arguments.out is None:
        raise ConfigurationError("There is no file for the answers.", hint="Name one with -o, or give --dry-run.")
    progress = sys.stderr.isatty()
    limit = arguments.max_cost
    if limit is not None and arguments.allow_unknown_cost:
        limit = Budget(limit, allow_unknown=True)
    with _ended_as_by_an_interrupt() as signals:
        try:
            summary = map_file(arguments.file, prompt, arguments.out, max_cost=limit, progress=progress, **options)
        except KeyboardInterrupt:
            is_kept = arguments.store is not None or str(setting("store") or "").lower() != "none"
            goes_on = "; the answers so far are in the store: the same command goes on" if is_kept else ""
            _report(f"{signal.Signals(signals[0]).name if signals else 'interrupted'}{goes_on}")
            if signals:
                return 128 + signals[0]
            raise
    _report(f"{arguments.out}: {summary}")
    return 1 if summary.failures else 0


@contextlib.contextmanager
def _ended_as_by_an_interrupt() -> Iterator[list[int]]:
    """Let a job's end or a closed terminal interrupt the block as Ctrl-C does, and list those signals.

    One that is ignored, as under ``nohup``, stays so.
    """
    received: list[int] = []

    def interrupt(number: int, _: object) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, interrupt) for number in numbers if signal.getsignal(number) == signal.SIG_DFL
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_schema(text: str | None) -> Any:
    """Read a schema: JSON, the name of a JSON file, or labels with commas in between."""
    import json

    if text is None:
        return None
    if text.endswith(".json"):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(f"--schema: {text} cannot be read: {error}.") from None
    if not text.lstrip().startswith("{"):
        labels = [label.strip() for label in text.split(",") if label.strip()]
        if not labels:
            raise ConfigurationError(f"--schema {text!r} holds no label.", hint="Such as --schema good,bad.")
        return labels
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"--schema is no JSON: {error}.") from None


def _report(text: str) -> None:
    print(f"orchat: {_single_line(text)}", file=sys.stderr)


def _read_prompt(given: str | None) -> str:
    if given is not None and given != "-":
        text = given
    elif given is None and sys.stdin.isatty():
        raise ConfigurationError("There is no question.", hint='Ask like this: `orchat ask "…"`.')
    else:
        text = sys.stdin.read()
    if not text.strip():
        raise ConfigurationError("The question is empty.")
    return text


def _without_typed_secrets(text: str) -> str:
    """Return a text without its secrets, after they were named on stderr."""
    from orchat.jupyter.kernel.prompt.typed_secrets import hide_typed_secrets

    text, note = hide_typed_secrets(text, "--allow-secrets sends it")
    if note:
        print(f"orchat: {_single_line(note)}", file=sys.stderr)
    return text


def _print_piece(text: str) -> None:
    """Print a piece of the answer at once, with control characters escaped on a terminal."""
    if sys.stdout.isatty():
        from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters

        text = escape_control_characters(text)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _models(arguments: argparse.Namespace) -> int:
    from orchat.default_factories import listed_models
    from orchat.jupyter.magic.configurable_traits import read_config_files
    from orchat.openrouter.model_table import list_models

    read_config_files()
    catalog = listed_models()
    if catalog.failure is not None:
        print(f"orchat: This list is {catalog.age_text}: {_single_line(catalog.failure.message)}", file=sys.stderr)
    _print_piece(list_models(catalog, " ".join(arguments.query), free=arguments.free))
    return 0


def _store(arguments: argparse.Namespace) -> int:
    from orchat.answer_store import SqliteAnswerStore
    from orchat.default_factories import open_store

    before = _days_ago(arguments.older_than)
    if arguments.action == "list" and (before is not None or arguments.model is not None):
        raise ConfigurationError(
            "--model and --older-than choose what is deleted; a list has all.",
            hint="Leave them out, or write `orchat store clear`.",
        )
    if arguments.file and not Path(arguments.file).expanduser().exists():  # it would be made, and be empty
        raise ConfigurationError(f"There is no store at {arguments.file}.", hint="Is the name behind --file right?")
    store = open_store(arguments.file)
    if not isinstance(store, SqliteAnswerStore):
        raise ConfigurationError("No answers are kept: the store is set to `none`.", hint="Name one with --file.")
    with contextlib.closing(store):
        if arguments.action == "clear":
            _print_piece(f"{store.clear(model=arguments.model, before=before):,} answers deleted from {store.path}\n")
            return 0
        entries = store.entries()
        _print_piece(
            f"{store.path}: {sum(each.answers for each in entries):,} answers, {store.size_on_disk():,} bytes\n"
        )
        for each in entries:
            bill = f"${each.cost.normalize():f}" + (f" and {each.unknown:,} unknown bills" if each.unknown else "")
            days = f"{each.oldest:%Y-%m-%d} to {each.newest:%Y-%m-%d}"
            _print_piece(f"{_single_line(each.model)} at {_single_line(each.host)}: {each.answers:,}, {bill}, {days}\n")
    return 0


def _days_ago(days: float | None) -> datetime | None:
    """Return the moment so many days ago."""
    from datetime import UTC, datetime, timedelta

    if days is None:
        return None
    try:
        if days >= 0:  # one in the future would choose all
            return datetime.now(UTC) - timedelta(days=days)
    except OverflowError:  # before the year 1
        pass
    raise ConfigurationError(f"--older-than {days:g} is no age.", hint="Give a number of days, such as 30.")


def _strip(arguments: argparse.Namespace) -> int:
    from orchat.jupyter.kernel.cell_storage.notebook_file import strip_files

    held = strip_files(arguments.notebooks, check=arguments.check, outputs=arguments.outputs)
    for path, count in held:
        _print_piece(f"{path}: {count} {'found' if arguments.check else 'taken out'}\n")
    return 1 if held and arguments.check else 0


def _demo(arguments: argparse.Namespace) -> int:
    from orchat.quickstart_launcher import run_demo

    run_demo(arguments.folder, port=arguments.port, browser=not arguments.no_browser)
    return 0


def _local_download(_: argparse.Namespace) -> int:
    from orchat.local import download

    print(download())
    return 0


def _local_status(_: argparse.Namespace) -> int:
    from orchat.local import find_weights

    runtime, weights = find_spec("xllamacpp") is not None, find_weights()
    print("runtime:", "installed" if runtime else 'missing (`pip install "orchat-jupyter[local]"`)')
    print("weights:", weights or "missing (`orchat local download`)")
    return 0 if runtime and weights else 1


if __name__ == "__main__":
    sys.exit(main())
