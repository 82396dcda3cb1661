"""Replace placeholders by values: ``{name}``, ``{obj.attr}``, ``{df["col"]}``, ``{Out[3]}``. Pure: a text and a lookup.

`orchat.prompt_language.placeholder_parser` finds the placeholders; here they are looked up and become content
parts.

A placeholder is a name, attributes and constant subscripts: no call, nothing that begins with two underscores. Reading
an attribute may run a property (``{df.shape}`` is one), as in any code of the notebook's owner; placeholders in a value
are not replaced. Nothing here raises: a placeholder without a value is sent as typed, with one line of warning.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from orchat.messages import AudioContent, TextContent, VideoContent
from orchat.messages.message import UserPart
from orchat.prompt_language.placeholder_parser import find_expressions, find_placeholders
from orchat.rendering import Rendered, render_value
from orchat.secrets import HIDDEN, is_secret

_MOST_REPORTED = 2  # problems that the one line of a warning names
_MOST_COMPARED = 500  # candidates for a similar name
_NEAR = "; did you mean "
_MISSPELT = 0.75  # the similarity of {nmae} and name; {firstname} of a template is something else
# What a format of Python looks like behind a value: {x:.2f}, {x:>10}, {x!r}. {x:10} is more often an object's field.
_FORMATTED = re.compile(
    r"(?P<value>[^\W\d][\w.]{0,60})(?:![rsa](?::[^{}\s]{1,20})?|:(?!\d+\Z)[<>^=]?[+-]?#?0?\d{0,3}[,_]?(?:\.\d{1,2})?[bcdeEfFgGnosxX%]?(?<!:))"
)


@dataclass(frozen=True)
class SentValue:
    """A value that replaced a placeholder of a prompt.

    Parameters
    ----------
    name
        The placeholder's text.
    form
        A short description of what was sent, such as ``text``.
    tokens
        Estimated size; 0 where no estimate can be made.
    """

    name: str
    form: str
    tokens: int = 0

    def __str__(self) -> str:
        size = f", {self.tokens:,} token{'' if self.tokens == 1 else 's'}" if self.tokens else ""
        return f"{self.name} ({self.form}{size})"


@dataclass(frozen=True)
class Prompt:
    """A prompt with its placeholders replaced.

    Parameters
    ----------
    parts
        The content parts in order; adjacent texts are one part.
    sent
        The values in them.
    warning
        One line about placeholders that look intended and were not replaced.
    refusal
        Why the prompt should not be sent as it is: for an expression or a misspelt name a model invents a value.
    """

    parts: tuple[UserPart, ...]
    sent: tuple[SentValue, ...] = ()
    warning: str | None = None
    refusal: str | None = None

    @property
    def text(self) -> str | None:
        """The whole prompt where it is one text."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only.text if isinstance(only, TextContent) else None


def verbatim_prompt(text: str) -> Prompt:
    """Return a prompt with no placeholder replaced."""
    return Prompt((TextContent(text),))


def interpolate(
    text: str,
    names: Mapping[str, object],
    render: Callable[[object], Rendered] = render_value,
    *,
    allow_secrets: bool = False,
    way_out: str = "`{{...}}` or --raw sends it as it stands.",
) -> Prompt:
    """Replace the placeholders of a prompt by their values.

    Parameters
    ----------
    text
        The prompt.
    names
        The namespace of the placeholders.
    render
        Converts a value to content parts.
    allow_secrets
        Whether the value of a placeholder such as ``{api_key}`` is sent all the same.
    way_out
        The end of a refusal: how to send the text without a value.

    Examples
    --------
    >>> prompt = interpolate('Greet {name}, not `{name}` or {"to": {name}}.', {"name": "Ada"})
    >>> prompt.text
    'Greet Ada, not `{name}` or {"to": {name}}.'
    >>> print(prompt.sent[0])
    name (text, 1 token)
    >>> interpolate("Greet {nmae}.", {"name": "Ada"}).warning
    '{nmae} is sent as it is: there is no variable nmae; did you mean name?'
    >>> print(interpolate("Greet {name.upper()}.", {"name": "Ada"}).refusal)
    {name.upper()} is more than a variable: assign it first, `value = name.upper()`, and write {value}. `{{...}}` or \
--raw sends it as it stands.
    """
    values: dict[str, PlaceholderValue] = {}
    problems: dict[str, str] = {}
    parts = PartBuilder()
    done = 0
    placeholders = find_placeholders(text)
    for placeholder in placeholders:
        if not placeholder.in_prose:
            # Its attributes are not read: they may run code, for a text that only looks like a placeholder.
            if placeholder.text.partition(".")[0].partition("[")[0] in names:
                problems.setdefault(placeholder.text, "that looks like code, not prose")
            continue
        if placeholder.text not in values:
            # A search for similar names takes long, so only reported problems get one.
            near = len(problems) < _MOST_REPORTED
            values[placeholder.text] = _resolve_placeholder(
                placeholder.text, names, render, near=near, hides=not allow_secrets
            )
        value = values[placeholder.text]
        if value.problem is not None:
            problems[placeholder.text] = value.problem
        elif value.sent is not None:
            parts.add(text[done : placeholder.start])
            parts.insert(value, following=text[placeholder.end : placeholder.end + 1])
            done = placeholder.end
    parts.add(text[done:])
    sent = tuple(value.sent for value in values.values() if value.sent is not None)
    fields = [placeholder.text for placeholder in placeholders if placeholder.in_prose]
    computed = [
        expression
        for expression in [*find_expressions(text), *(each for each in fields if parse_steps(each) is None)]
        if _is_computed(expression, names)
    ]
    return Prompt(
        parts.parts() or (TextContent(text),), sent, _warning(problems), _refusal(computed, problems, way_out)
    )


@dataclass(frozen=True)
class PlaceholderValue:
    """The value of a placeholder: parts, or a problem, or neither."""

    parts: tuple[UserPart, ...] = ()
    sent: SentValue | None = None
    problem: str | None = None
    is_multiline: bool = False


def _resolve_placeholder(
    placeholder: str,
    names: Mapping[str, object],
    render: Callable[[object], Rendered],
    *,
    near: bool,
    hides: bool,
) -> PlaceholderValue:
    steps = parse_steps(placeholder)
    if steps is None:
        return PlaceholderValue()
    root, *rest = steps
    if root.key not in names:
        return PlaceholderValue(
            problem=f"there is no variable {root.key}{similar_name_hint(root.key, names if near else ())}"
        )
    try:
        value, path = names[root.key], str(root.key)
        for step in rest:
            try:
                value = step.take(value)
            except (AttributeError, LookupError):
                return PlaceholderValue(problem=missing_problem(step, value, path, near=near))
            path += f".{step.key}" if step.attribute else f"[{step.key!r}]"
        if isinstance(value, AudioContent | VideoContent):
            kind = type(value).__name__.removesuffix("Content").lower()
            return PlaceholderValue((value,), SentValue(placeholder, kind))
        if hides and _is_hidden(steps, value):
            return PlaceholderValue((TextContent(HIDDEN),), SentValue(placeholder, "its value stays here"))
        rendered = render(value)
    except Exception as error:  # noqa: BLE001 - it is the value's own code that fails
        return PlaceholderValue(problem=f"reading it failed with {type(error).__name__}")
    # A text goes where it was asked for; what stands for another value is set apart if it has several lines.
    lines = not isinstance(value, str) and any(
        isinstance(part, TextContent) and "\n" in part.text for part in rendered.parts
    )
    return PlaceholderValue(
        tuple(rendered.parts), SentValue(placeholder, rendered.what, rendered.tokens), is_multiline=lines
    )


def names_secret(placeholder: str, value: object) -> bool:
    """Whether any step of a placeholder is the name of a secret: ``conf["api_key"]``.

    Examples
    --------
    >>> names_secret("conf['api_key']", "tide"), names_secret("conf['port']", "Hull")
    (True, False)
    """
    return _is_hidden(parse_steps(placeholder) or [], value)


@dataclass(frozen=True)
class Step:
    """A step of a placeholder: a name or an attribute, or the key of a subscript."""

    key: Any
    attribute: bool = False

    def take(self, value: Any) -> Any:
        """Return the attribute or the item of a value."""
        return getattr(value, self.key) if self.attribute else value[self.key]


def parse_steps(placeholder: str) -> list[Step] | None:
    """Parse a placeholder into steps; None where it is more than a name, attributes and constant subscripts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node: ast.expr = ast.parse(placeholder, mode="eval").body
            steps: list[Step] = []
            while not isinstance(node, ast.Name):
                if isinstance(node, ast.Attribute):
                    steps.append(Step(node.attr, attribute=True))
                elif isinstance(node, ast.Subscript):
                    steps.append(Step(_constant(node.slice)))
                else:
                    return None
                node = node.value
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    steps.append(Step(node.id, attribute=True))
    if any(step.attribute and step.key.startswith("__") for step in steps):
        return None
    return steps[::-1]


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Slice):
        return slice(*(part and ast.literal_eval(part) for part in (node.lower, node.upper, node.step)))
    if isinstance(node, ast.Tuple):
        return tuple(_constant(element) for element in node.elts)
    return ast.literal_eval(node)


def missing_problem(step: Step, value: object, path: str, *, near: bool) -> str:
    """Say that a value has no such attribute or item; ``near`` asks after a similar name.

    Examples
    --------
    >>> missing_problem(Step("ctiy"), {"city": "Hull"}, "row", near=True)
    "row has no item 'ctiy'; did you mean city?"
    """
    if step.attribute:
        return f"{path} has no attribute {step.key}{similar_name_hint(step.key, dir(value) if near else ())}"
    keys = value.keys() if near and hasattr(value, "keys") else ()
    return f"{path} has no item {step.key!r}{similar_name_hint(step.key, keys)}"


def similar_name_hint(name: object, known: Iterable[object]) -> str:
    """Return a question after the most similar known name, to be put behind a sentence; empty where there is none."""
    if not isinstance(name, str):
        return ""
    texts = [each for each in islice(known, _MOST_COMPARED) if isinstance(each, str) and not each.startswith("_")]
    near = difflib.get_close_matches(name, texts, n=1, cutoff=_MISSPELT)
    return f"{_NEAR}{near[0]}?" if near else ""


class PartBuilder:
    """Build content parts from texts and values, and join adjacent texts."""

    def __init__(self) -> None:
        self._parts: list[UserPart] = []
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Append a text, joined to the text before it."""
        if text:
            self._texts.append(text)

    def insert(self, value: PlaceholderValue, following: str) -> None:
        """Append a value; a value of several lines gets lines of its own."""
        if value.is_multiline and self._texts and not self._texts[-1].endswith("\n"):
            self.add("\n")
        for part in value.parts:
            if isinstance(part, TextContent) and part.cache_control is None:
                self.add(part.text)
            else:
                self._flush()
                self._parts.append(part)
        if value.is_multiline and following != "\n":
            self.add("\n")

    def parts(self) -> tuple[UserPart, ...]:
        """Return the built parts."""
        self._flush()
        return tuple(self._parts)

    def _flush(self) -> None:
        if self._texts:
            self._parts.append(TextContent("".join(self._texts)))
            self._texts = []


def _warning(problems: Mapping[str, str]) -> str | None:
    if not problems:
        return None
    reports = [
        f"{{{placeholder}}} is sent as it is: {why}" for placeholder, why in islice(problems.items(), _MOST_REPORTED)
    ]
    more = len(problems) - len(reports)
    return "; ".join(reports) + (f"; and {more} more" if more else "")


def _refusal(computed: Sequence[str], problems: Mapping[str, str], way_out: str) -> str | None:
    if computed:
        first, more = computed[0], len(computed) - 1
        others = f" (so {'is' if more == 1 else 'are'} {more} more)" if more else ""
        return (
            f"{{{first}}} is more than a variable{others}: assign it first, `value = {_assignable(first)}`, and write "
            f"{{value}}. {way_out}"
        )
    for placeholder, problem in problems.items():
        if _NEAR in problem:
            return f"{{{placeholder}}}: {problem} {way_out}"
    return None


def _is_computed(expression: str, names: Mapping[str, object]) -> bool:
    """Whether Python could compute an expression from the names, and a person will have meant that."""
    formatted = _FORMATTED.fullmatch(expression)
    if formatted is not None:
        expression = formatted["value"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outer = ast.parse(expression.strip(), mode="eval").body
            nodes = list(ast.walk(outer))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    while isinstance(outer, ast.Compare):
        outer = outer.left
    if isinstance(outer, ast.BinOp) and isinstance(outer.op, ast.BitOr):
        return False  # a set of mathematics, {n | n > 0}, a choice, or a template's filter, {name | upper}
    if formatted is None and not any(isinstance(node, ast.Call | ast.BinOp | ast.Subscript) for node in nodes):
        return False
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    used -= bound
    return any(name in names for name in used) and all(name in names or hasattr(builtins, name) for name in used)


def _assignable(expression: str) -> str:
    """Write an expression as the right side of an assignment: ``x:.2f`` becomes ``f"{x:.2f}"``."""
    return f'f"{{{expression}}}"' if _FORMATTED.fullmatch(expression) else expression.strip()


def _is_hidden(steps: list[Step], value: object) -> bool:
    return any(isinstance(step.key, str) and is_secret(step.key, value) for step in steps)
