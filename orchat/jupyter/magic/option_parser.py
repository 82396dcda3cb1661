"""Parse the options of a magic's line into values and API parameters; errors say what to do.

Of IPython it uses `UsageError` only.
"""

from __future__ import annotations

import argparse
import builtins
import difflib
import json
import keyword
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from IPython.core.error import UsageError

from orchat.jupyter.kernel.output.answer_formats import FORMATS
from orchat.jupyter.magic.line_tokenizer import split_words
from orchat.jupyter.magic.type_expressions import TypeNameError, resolve_type

if TYPE_CHECKING:
    from orchat.tools import Tool, Toolset

MAGIC = "openrouter"
POLICIES = ("ask", "always", "never")
EFFORTS = ("max", "xhigh", "high", "medium", "low", "minimal", "none")

_DESCRIPTION = """\
Ask a language model: the prompt is the cell below this line, the answer streams in.

  %%openrouter openai/gpt-4o-mini -o answer
  What is odd in these sales? {sales}

{name}, {name.attribute} and {name["key"]} put variables into the prompt, wherever they stand in prose. Code, JSON,
formulas and templates keep their braces; so does `{name}` between backticks, and every brace with --raw.

The next cell goes on where this one ended; a cell that runs again replaces what it said before. --chat keeps several
conversations apart, --new begins one anew.

The key is the environment variable OPENROUTER_API_KEY, or `%openrouter key set`. Stop a long answer with the kernel's
interrupt: what arrived stays, in the cell and in the variable. The model local/smollm2-135m-instruct needs no key. One
line of prompt: %openrouter -- why is the sky blue? More: %openrouter help"""

# Parameters that have an option of their own, or that the cell itself decides.
_RESERVED_PARAMETERS = {
    "model": "-m",
    "stream": "--no-stream",
    "messages": "the cell's text",
    "response_format": "--schema or -f json",
}


class _OptionParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:].rstrip('.')}.")


class _GivenOnce(argparse.Action):
    """An option with a value, which may stand in a line once: of two, one would be lost."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, option: str | None = None
    ) -> None:
        if option is not None and getattr(namespace, self.dest) is not self.default:
            parser.error(f"{option} is given twice: leave one out")
        setattr(namespace, self.dest, value)


def _parser() -> _OptionParser:
    parser = _OptionParser(
        prog=f"%%{MAGIC}",
        usage=f"%%%%{MAGIC} [MODEL] [options]",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.register("action", None, _GivenOnce)
    option = parser.add_argument_group("everyday").add_argument
    option("model", nargs="?", metavar="MODEL", help="who answers, such as openai/gpt-4o-mini (default: ORCHAT_MODEL)")
    option("-m", "--model", dest="model_option", metavar="MODEL", help="the same, as an option")
    option("-o", "--out", metavar="NAME", help="bind the reply to a variable: NAME.text, NAME.usage, NAME.cost ...")
    option("-s", "--system", metavar="TEXT", help="what the model should be and do, in quotes")
    option("-t", "--temperature", type=float, metavar="NUMBER", help="0 is matter-of-fact, 1 and more is playful")
    option("-n", "--max-tokens", type=_positive_integer, metavar="N", help="end the answer after so many tokens")
    option("-a", "--attach", action="append", default=[], metavar="FILE_OR_URL", help="send a file along; repeatable")
    option("-f", "--format", type=Choice(FORMATS), default="markdown", metavar="FORM",
           help="markdown (default); text: shown as it is; code: proposed as the next cell; json")  # fmt: skip
    option("--chat", type=_conversation_name, metavar="THREAD", help="go on in the conversation of this name")
    option("-T", "--tool", action="append", default=[], metavar="TOOL", help="let the model call it, when you agree")
    option("-h", "--help", action="store_true", help="show this")
    option = parser.add_argument_group("more").add_argument
    option(
        "--schema",
        metavar="NAME_OR_JSON",
        help="the answer as an object, NAME.parsed: a pydantic class, list[CLASS] or a dict",
    )
    option("--map", metavar="NAME", help="ask for each row of this list or data frame: {column}, or {value}")
    option("--web", action="store_true", help="let the model search the web")
    option("--new", action="store_true", help="begin the conversation anew with this cell")
    option("--no-history", action="store_true", help="ask by itself: nothing goes along, nothing is remembered")
    option("--approve", type=Choice(POLICIES), metavar="POLICY", help="ask (default), always or never run its tools")
    option("--max-cost", type=_usd, metavar="USD", help="refuse what may cost more, by list prices")
    option("--seed", type=int, metavar="N", help="try to give the same answer each time")
    option("-p", "--param", action="append", type=_parameter, default=[], metavar="NAME=JSON",
           help="any other parameter of the API, such as top_p=0.9; may be repeated")  # fmt: skip
    option("--reasoning", type=Choice(EFFORTS), metavar="EFFORT", help="how long to think: " + ", ".join(EFFORTS))
    option("--provider", type=_json_object, metavar="JSON", help='which upstreams, such as {"sort": "price"}')
    option("--fallback", action="append", default=[], metavar="MODEL",
           help="who answers if the model cannot; may be repeated")  # fmt: skip
    option("--no-stream", action="store_true", help="show the answer when it is whole")
    option("--raw", action="store_true", help="send every brace of the prompt as it is")
    option("--allow-secrets", action="store_true", help="send keys and passwords of the prompt and its variables, too")
    option("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    option("--debug", action="store_true", help="show the whole traceback of an error")
    return parser


def help_text() -> str:
    """Return the help text."""
    return _parser().format_help()


@cache
def option_table() -> Mapping[str, argparse.Action]:
    """Return the argparse action of each option by each of its names, and of the positional argument by its own.

    Examples
    --------
    >>> option_table()["--fallback"].metavar, option_table()["model"].metavar
    ('MODEL', 'MODEL')
    """
    return {name: action for action in _parser()._actions for name in action.option_strings or [action.dest]}


def parse_options(line: str) -> argparse.Namespace:
    r"""Parse the line of a cell magic.

    Raises
    ------
    UsageError
        An option is unknown or its value invalid; IPython shows the message as one line.

    Examples
    --------
    >>> options = parse_options('openai/gpt-4o-mini -t 0 -s "Don\'t ramble." -o answer -p top_k=3')
    >>> options.model, options.temperature, options.system, options.out, options.param
    ('openai/gpt-4o-mini', 0.0, "Don't ramble.", 'answer', [('top_k', 3)])
    """
    words = split_words(line)
    if "--" in words:  # what follows would be the model
        raise UsageError(_unknown_word_error(words[words.index("--") :]))
    options, unknown = _parser().parse_known_args(words)
    if unknown:
        raise UsageError(_unknown_word_error(unknown))
    if options.model and options.model_option and options.model != options.model_option:
        raise UsageError(f"Two models are given: {options.model} and {options.model_option}.")
    options.model = options.model or options.model_option
    if options.out is not None and (not options.out.isidentifier() or keyword.iskeyword(options.out)):
        raise UsageError(f"-o takes the name of a variable; {options.out!r} is none.")
    if options.out is not None and _is_taken(options.out):
        raise UsageError(
            f"-o {options.out}: other cells need what Python or IPython calls {options.out}. Take another name, such "
            "as reply."
        )
    return options


def _is_taken(name: str) -> bool:
    """Whether a name means something to all cells: a builtin, a variable of IPython's, or one of modules."""
    return (
        hasattr(builtins, name)
        or name in {"In", "Out", "exit", "quit", "get_ipython"}
        or not name.strip("_")
        or name.startswith("__")
    )


def _unknown_word_error(unknown: list[str]) -> str:
    """Return the error message for unknown words."""
    word = unknown[0]
    if not word.startswith("-") or word == "--":
        text = " ".join(unknown)
        return f"What does {text!r} mean? The prompt goes below the first line, and a text with spaces in quotes."
    option, _, _ = word.partition("=")
    return f"There is no option {option}. {closest_match(option, option_table()) or f'See %%{MAGIC} -h.'}"


def closest_match(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean NAME?`` for the closest known name; empty where none is close.

    Examples
    --------
    >>> closest_match("--modle", ["--model", "--out"])
    'Did you mean --model?'
    """
    names = list(known)
    # Half a word is no near match by letters, but says enough.
    found = [each for each in names if len(name) > 2 and each.startswith(name)] or difflib.get_close_matches(
        name, names
    )
    return f"Did you mean {found[0]}?" if found else ""


def generation_kwargs(options: argparse.Namespace, names: Mapping[str, object]) -> dict[str, Any]:
    """Return the parameters that the options set in the request's body (API section 2.1).

    Parameters
    ----------
    options
        The result of `parse_options`.
    names
        The namespace in which ``--schema`` is looked up.

    Raises
    ------
    UsageError
        There is no such variable, or it is no schema.

    Examples
    --------
    >>> generation_kwargs(parse_options("-n 50 --seed 7 --reasoning low --fallback a/b -f json"), {})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'max_tokens': 50, 'seed': 7, 'reasoning': {'effort': 'low'}, 'models': ['a/b'],
     'response_format': {'type': 'json_object'}}
    """
    kwargs: dict[str, Any] = dict(options.param)
    for name in ("temperature", "max_tokens", "seed", "provider"):
        if (value := getattr(options, name)) is not None:
            kwargs[name] = value
    if options.reasoning is not None:
        kwargs["reasoning"] = {"effort": options.reasoning}
    if options.fallback:
        kwargs["models"] = options.fallback
    if options.web:
        kwargs["server_tools"] = [{"type": "openrouter:web_search"}]
    if options.schema is not None:
        kwargs["response_format"] = _resolve_schema(options.schema, names)
    elif options.format == "json":
        kwargs["response_format"] = {"type": "json_object"}
    return kwargs


def resolve_tools(
    wanted: Iterable[str], names: Mapping[str, object], named_tools: Mapping[str, Tool | Toolset | list[Tool]]
) -> tuple[Tool | Toolset, ...]:
    """Return the tools of these names: variables that hold tools or functions, one or a list, or tools that need none.

    A set of tools that was added by its name, such as that of an MCP server, hides a variable of that name.

    Raises
    ------
    UsageError
        There is none of that name, or it is no tool.

    Examples
    --------
    >>> def tide(port: str) -> str:
    ...     "Say when the tide is high."
    ...     return "14:10"
    >>> [tool.name for tool in resolve_tools(["tide"], {"tide": tide}, {})]
    ['tide']
    >>> [tool.name for tool in resolve_tools(["harbour", "tide"], {"harbour": [tide], "tide": tide}, {})]
    ['tide']
    """
    from orchat.tools import Tool, Toolset, create_tool_from_function

    tools: dict[int, Tool | Toolset] = {}  # by what they are made of: one that has two names is one
    for name in dict.fromkeys(wanted):
        value = named if isinstance(named := named_tools.get(name), Toolset) else names.get(name)
        if value is None or str(getattr(value, "__module__", "")).startswith("orchat.jupyter.kernel.variable_tools"):
            value = named_tools.get(name, value)  # also where what makes it was imported by its name
        if value is None and name not in names:
            # By their types: a value that is asked for its class runs code of its own.
            types = {each: type(value) for each, value in names.items()}
            callables = [each for each in types if issubclass(types[each], Tool | Toolset) or callable(names[each])]
            hint = closest_match(name, [*callables, *named_tools]) or "Give the name of a function of this notebook."
            raise UsageError(f"-T: there is no tool {name}. {hint}")
        several = isinstance(value, list | tuple)
        for number, each in enumerate(value if isinstance(value, list | tuple) else [value]):
            try:
                if id(each) not in tools:
                    tools[id(each)] = each if isinstance(each, Tool | Toolset) else create_tool_from_function(each)
            except Exception as error:  # noqa: BLE001 - a signature or an annotation of the user's
                which = f"{name}[{number}]" if several else name
                raise UsageError(f"-T: {which} is no tool: {error}") from None
        if several and not value:
            raise UsageError(f"-T: {name} is empty.")
    return tuple(tools.values())


def schema_of_any_type(text: str, names: Mapping[str, object]) -> Any:
    """Return the value of ``--schema``: JSON, a variable, or an expression of types such as ``list[Person]``.

    Raises
    ------
    UsageError
        There is no such variable, or it is no JSON.
    """
    if text.lstrip().startswith("{"):
        try:
            return _json_object(text)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"--schema: {error}.") from None
    if text in names:
        return names[text]
    try:
        return resolve_type(text, names)
    except TypeNameError as error:
        hint = closest_match(error.name, names) or "Give a pydantic class, a dict, a JSON Schema or list[CLASS]."
        raise UsageError(f"--schema: {error} {hint}") from None


def _resolve_schema(text: str, names: Mapping[str, object]) -> Any:
    value = schema_of_any_type(text, names)
    if isinstance(value, dict):
        return value
    from orchat.openrouter.wire.structured import read_response_format

    try:
        read_response_format(value)
    except TypeError:
        raise UsageError(
            f"--schema takes a pydantic class, list[CLASS], a dict or a JSON Schema; {text} is of type "
            f"{type(value).__name__}."
        ) from None
    return value


# -- argparse types: their ArgumentTypeErrors become usage errors --------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """An argparse type that accepts one of some words."""

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Return the word if it is one of them."""
        if text in self.choices:
            return text
        known = ", ".join(self.choices)
        raise argparse.ArgumentTypeError(f"{text!r} is none of {known}. {closest_match(text, self.choices)}".rstrip())


def _positive_integer(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=JSON, such as top_p=0.9")
    if name in _RESERVED_PARAMETERS:
        raise argparse.ArgumentTypeError(f"{name} is for {_RESERVED_PARAMETERS[name]} to say")
    try:
        return name, json.loads(value, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        pass
    if value[:1] in {"{", "["}:
        raise argparse.ArgumentTypeError(f"{value!r} is no JSON")
    # Words need no quotes, which the line's own quoting would take away; True and None are Python's.
    return name, {"True": True, "False": False, "None": None}.get(value, value)


def _conversation_name(text: str) -> str:
    name = text.strip()
    if not name or not name.isprintable() or len(name) > 60:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no name: give a word or a few")
    return name


def _usd(text: str) -> float:
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of USD, such as 0.05")
    return value


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text[:60]!r} is no JSON object, such as {{"name": "value"}}')
    return value


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
