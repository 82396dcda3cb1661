"""Put variables into a prompt: ``{name}``, ``{obj.attr}``, ``{df["col"]}``, ``{Out[3]}``. Pure: a text and a lookup.

`orchat.jupyter.kernel.prompt.placeholder_parser` finds the fields; here they are looked up, and become content
parts.

A field is a name, attributes and constant subscripts: no call, nothing that begins with two underscores. Reading an
attribute may run a property (``{df.shape}`` is one), as it does wherever the owner of the notebook types it; a value is
not searched for further fields. Nothing here raises: what cannot be replaced is sent as it was typed, and one line
tells so.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from orchat.jupyter.kernel.prompt.placeholder_parser import find_placeholders
from orchat.messages import AudioContent, FileContent, ImageContent, TextContent, VideoContent
from orchat.rendering import Rendered, render_value

UserPart = TextContent | ImageContent | FileContent | AudioContent | VideoContent

_MOST_TOLD = 2  # problems that the one line of a warning names
_MOST_COMPARED = 500  # names that may be the near match


@dataclass(frozen=True)
class SentValue:
    """One value that went along with a prompt.

    Parameters
    ----------
    name
        What was written for it.
    what
        What it became, in a few words.
    tokens
        An estimate of its size; 0 where none can be made.
    """

    name: str
    what: str
    tokens: int = 0

    def __str__(self) -> str:
        size = f", {self.tokens:,} token{'' if self.tokens == 1 else 's'}" if self.tokens else ""
        return f"{self.name} ({self.what}{size})"


@dataclass(frozen=True)
class Prompt:
    """A prompt with its values in place.

    Parameters
    ----------
    parts
        What to send, in order; texts that touch are one.
    sent
        The values that went along.
    warning
        One line about fields that look meant and were left as they are.
    """

    parts: tuple[UserPart, ...]
    sent: tuple[SentValue, ...] = ()
    warning: str | None = None

    @property
    def text(self) -> str | None:
        """The whole prompt where it is one text."""
        only = self.parts[0] if len(self.parts) == 1 else None
        return only.text if isinstance(only, TextContent) else None


def verbatim_prompt(text: str) -> Prompt:
    """Return a prompt as it was typed."""
    return Prompt((TextContent(text),))


def interpolate(text: str, names: Mapping[str, object], render: Callable[[object], Rendered] = render_value) -> Prompt:
    """Replace the fields of a prompt by their values.

    Parameters
    ----------
    text
        The prompt.
    names
        Where names are looked up.
    render
        Makes content parts of a value.

    Examples
    --------
    >>> prompt = interpolate('Greet {name}, not `{name}` or {"to": {name}}.', {"name": "Ada"})
    >>> prompt.text
    'Greet Ada, not `{name}` or {"to": {name}}.'
    >>> print(prompt.sent[0])
    name (text, 1 token)
    >>> interpolate("Greet {nmae}.", {"name": "Ada"}).warning
    '{nmae} is sent as it is: there is no variable nmae; did you mean name?'
    """
    values: dict[str, _Value] = {}
    problems: dict[str, str] = {}
    out = _Pieces()
    done = 0
    for field in find_placeholders(text):
        if not field.in_prose:
            # Its attributes are not read: they may run code, for a text that only happens to look like a field.
            if field.text.partition(".")[0].partition("[")[0] in names:
                problems.setdefault(field.text, "that looks like code, not prose")
            continue
        if field.text not in values:
            # Looking for near names takes long, so it is done for those only that will be told.
            values[field.text] = _value(field.text, names, render, near=len(problems) < _MOST_TOLD)
        value = values[field.text]
        if value.problem is not None:
            problems[field.text] = value.problem
        elif value.sent is not None:
            out.add(text[done : field.start])
            out.insert(value, following=text[field.end : field.end + 1])
            done = field.end
    out.add(text[done:])
    sent = tuple(value.sent for value in values.values() if value.sent is not None)
    return Prompt(out.parts() or (TextContent(text),), sent, _warning(problems))


@dataclass(frozen=True)
class _Value:
    """What a field stands for: parts, or a problem, or nothing at all."""

    parts: tuple[UserPart, ...] = ()
    sent: SentValue | None = None
    problem: str | None = None
    is_block: bool = False


def _value(field: str, names: Mapping[str, object], render: Callable[[object], Rendered], *, near: bool) -> _Value:
    steps = _steps(field)
    if steps is None:
        return _Value()
    root, *rest = steps
    if root.key not in names:
        return _Value(problem=f"there is no variable {root.key}{_near(root.key, names if near else ())}")
    try:
        value, path = names[root.key], str(root.key)
        for step in rest:
            try:
                value = getattr(value, step.key) if step.attribute else value[step.key]  # type: ignore[index]
            except (AttributeError, LookupError):
                return _Value(problem=_missing(step, value, path, near=near))
            path += f".{step.key}" if step.attribute else f"[{step.key!r}]"
        if isinstance(value, AudioContent | VideoContent):
            kind = type(value).__name__.removesuffix("Content").lower()
            return _Value((value,), SentValue(field, kind))
        rendered = render(value)
    except Exception as error:  # noqa: BLE001 - it is the value's own code that fails
        return _Value(problem=f"reading it failed with {type(error).__name__}")
    # A text goes where it was asked for; what stands for another value is set apart if it has several lines.
    lines = not isinstance(value, str) and any(
        isinstance(part, TextContent) and "\n" in part.text for part in rendered.parts
    )
    return _Value(tuple(rendered.parts), SentValue(field, rendered.what, rendered.tokens), is_block=lines)


@dataclass(frozen=True)
class _Step:
    key: Any
    attribute: bool = False


def _steps(field: str) -> list[_Step] | None:
    """Take a field apart; None where it is more than names, attributes and constant subscripts."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node: ast.expr = ast.parse(field, mode="eval").body
            steps: list[_Step] = []
            while not isinstance(node, ast.Name):
                if isinstance(node, ast.Attribute):
                    steps.append(_Step(node.attr, attribute=True))
                elif isinstance(node, ast.Subscript):
                    steps.append(_Step(_constant(node.slice)))
                else:
                    return None
                node = node.value
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    steps.append(_Step(node.id, attribute=True))
    if any(step.attribute and step.key.startswith("__") for step in steps):
        return None
    return steps[::-1]


def _constant(node: ast.expr) -> Any:
    if isinstance(node, ast.Slice):
        return slice(*(part and ast.literal_eval(part) for part in (node.lower, node.upper, node.step)))
    if isinstance(node, ast.Tuple):
        return tuple(_constant(element) for element in node.elts)
    return ast.literal_eval(node)


def _missing(step: _Step, value: object, path: str, *, near: bool) -> str:
    if step.attribute:
        return f"{path} has no attribute {step.key}{_near(step.key, dir(value) if near else ())}"
    keys = value.keys() if near and hasattr(value, "keys") else ()
    return f"{path} has no item {step.key!r}{_near(step.key, keys)}"


def _near(name: object, known: Iterable[object]) -> str:
    if not isinstance(name, str):
        return ""
    texts = [each for each in islice(known, _MOST_COMPARED) if isinstance(each, str) and not each.startswith("_")]
    near = difflib.get_close_matches(name, texts, n=1)
    return f"; did you mean {near[0]}?" if near else ""


class _Pieces:
    """Texts and other parts, put together."""

    def __init__(self) -> None:
        self._parts: list[UserPart] = []
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Append text, which joins the text before it."""
        if text:
            self._texts.append(text)

    def insert(self, value: _Value, following: str) -> None:
        """Append a value; one of several lines is set apart."""
        if value.is_block and self._texts and not self._texts[-1].endswith("\n"):
            self.add("\n")
        for part in value.parts:
            if isinstance(part, TextContent) and part.cache_control is None:
                self.add(part.text)
            else:
                self._flush()
                self._parts.append(part)
        if value.is_block and following != "\n":
            self.add("\n")

    def parts(self) -> tuple[UserPart, ...]:
        """Return what was put together."""
        self._flush()
        return tuple(self._parts)

    def _flush(self) -> None:
        if self._texts:
            self._parts.append(TextContent("".join(self._texts)))
            self._texts = []


def _warning(problems: Mapping[str, str]) -> str | None:
    if not problems:
        return None
    told = [f"{{{field}}} is sent as it is: {why}" for field, why in islice(problems.items(), _MOST_TOLD)]
    more = len(problems) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more else "")
