"""`PromptTemplate`: a prompt whose placeholders are found once, and replaced by the values of many rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from orchat.errors import ConfigurationError, UnknownColumnError
from orchat.messages import AudioContent, TextContent, VideoContent
from orchat.messages.message import UserPart
from orchat.prompt_language.interpolation import (
    PartBuilder,
    PlaceholderValue,
    Step,
    interpolate,
    missing_problem,
    parse_steps,
    similar_name_hint,
)
from orchat.prompt_language.placeholder_parser import find_placeholders
from orchat.rendering import render_value
from orchat.secrets import is_secret_name, redact

# Values whose `str` is what people mean; by name, for their libraries may not be loaded.
_PLAIN = frozenset(
    {"date", "datetime", "time", "timedelta", "Timestamp", "Timedelta", "Period", "Interval", "UUID", "Decimal"}
)
# Libraries one value of whose arrays is an array without dimensions.
_ARRAY_LIBRARIES = frozenset({"xarray", "torch", "jax", "jaxlib", "cupy"})
MISSING_TYPES = frozenset({"NoneType", "NAType", "NaTType"})
"""The names of the types of values that tables take for missing ones; NaN is another one."""


class MissingValueError(ValueError):
    """A row has a value for none of the placeholders."""


@dataclass(frozen=True)
class _Slot:
    """A placeholder: the text before it, and the steps to its value."""

    before: str
    name: str
    root: str
    steps: tuple[Step, ...]


def is_missing(value: Any) -> bool:
    """Whether a value is what tables take for a missing one.

    Examples
    --------
    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)
    """
    if value is None or type(value).__name__ in MISSING_TYPES:
        return True
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    is_scalar = isinstance(value, float) or (type(value).__module__ == "numpy" and kind in ("f", "m", "M"))
    return is_scalar and not getattr(value, "ndim", 0) and bool(value != value)  # noqa: PLR0124 - NaN, or NumPy's NaT


def _taken(slot: _Slot, position: int, value: Any) -> Any:
    """Take a step of a placeholder; within a missing value all is missing."""
    step = slot.steps[position]
    try:
        return step.take(value)
    except (AttributeError, LookupError, TypeError):
        if is_missing(value):
            return None
        if step.attribute and isinstance(value, Mapping) and step.key in value:
            why = f"the item of a dictionary is written [{step.key!r}], not .{step.key}"
        else:
            before = [f".{each.key}" if each.attribute else f"[{each.key!r}]" for each in slot.steps[:position]]
            why = missing_problem(step, value, "".join([slot.root, *before]), near=True)
        raise (AttributeError if step.attribute else LookupError)(f"{{{slot.name}}}: {why}") from None


class PromptTemplate:
    """A prompt for many rows; the language is that of cells, but a placeholder must name a field.

    Parameters
    ----------
    text
        The prompt.
    fields
        The names that its placeholders may begin with.
    allow_secrets
        Whether what looks like a secret in a value is sent all the same.
    paths
        What is within the fields, by its last name; it is told where a placeholder names that alone.
    items
        The keys of fields that are dictionaries, where they are known for all rows.

    Raises
    ------
    UnknownColumnError
        A placeholder names no field (a ValueError).
    ConfigurationError
        A placeholder is more than a name, or names a secret (a ValueError).

    Examples
    --------
    >>> template = PromptTemplate("Is {city} in {land}?", ["city", "land"])
    >>> template.fill({"city": "Hull", "land": "England"})
    'Is Hull in England?'
    >>> PromptTemplate("Is {ctiy} large?", ["city", "land"])
    Traceback (most recent call last):
    ...
    orchat.errors.UnknownColumnError: {ctiy} names no column; did you mean city? `{{...}}` sends braces as they stand.
    """

    def __init__(
        self,
        text: str,
        fields: Collection[str],
        *,
        allow_secrets: bool = False,
        paths: Mapping[str, str] = MappingProxyType({}),
        items: Mapping[str, Collection[Any]] = MappingProxyType({}),
    ) -> None:
        self.text = text
        self._allow_secrets = allow_secrets
        self._paths = paths
        self._items = items
        known = set(fields)
        self._check(text, known)
        slots, done = [], 0
        for placeholder in find_placeholders(text):
            steps = parse_steps(placeholder.text) or []
            if not placeholder.in_prose or not steps:
                continue
            root = str(steps[0].key)
            slots.append(_Slot(text[done : placeholder.start], placeholder.text, root, tuple(steps[1:])))
            done = placeholder.end
        self._slots = slots
        self._rest = text[done:]

    @property
    def fields(self) -> list[str]:
        """The fields that it uses, in order."""
        return list(dict.fromkeys(slot.root for slot in self._slots))

    def fill(self, row: Mapping[str, Any]) -> str | tuple[UserPart, ...]:
        """Return the prompt of a row: a text, or parts where a value is more than that.

        Raises
        ------
        MissingValueError
            No placeholder has a value in this row.
        LookupError, AttributeError
            A value has no such item or attribute.
        """
        texts: list[str] = []
        values: list[Any] = []
        is_text, is_missing = True, True
        for slot in self._slots:
            value = row.get(slot.root)
            for position in range(len(slot.steps)):
                value = _taken(slot, position, value)
            text = self._text_of(value)
            is_text = is_text and text is not None
            is_missing = is_missing and text == "" and not isinstance(value, str)
            values.append(value)
            texts += [slot.before, text or ""]
        if is_missing and self._slots:
            names = [f"`{name}`" for name in dict.fromkeys(slot.name for slot in self._slots)]
            verb = "has" if len(names) == 1 else "have"
            raise MissingValueError(f"{' and '.join(names)} {verb} no value in this row")
        return "".join([*texts, self._rest]) if is_text else self._parts(values)

    def _parts(self, values: list[Any]) -> tuple[UserPart, ...]:
        parts = PartBuilder()
        for position, (slot, value) in enumerate(zip(self._slots, values, strict=True)):
            parts.add(slot.before)
            following = self._slots[position + 1].before if position + 1 < len(self._slots) else self._rest
            parts.insert(self._rendered(value), following[:1])
        parts.add(self._rest)
        return parts.parts()

    def _rendered(self, value: Any) -> PlaceholderValue:
        if (text := self._text_of(value)) is not None:
            return PlaceholderValue((TextContent(text),))
        if isinstance(value, AudioContent | VideoContent):
            return PlaceholderValue((value,))
        rendered = render_value(value)
        lines = any(isinstance(part, TextContent) and "\n" in part.text for part in rendered.parts)
        return PlaceholderValue(tuple(rendered.parts), is_multiline=lines)

    def _text_of(self, value: Any) -> str | None:
        """Return the text of a plain value, empty for a missing one; None where it must be rendered."""
        kind = type(value)
        if kind is str:
            return value if self._allow_secrets else redact(value)
        if kind.__name__ in MISSING_TYPES or value is None:
            return ""
        if kind.__module__ == "numpy" and hasattr(value, "item") and not getattr(value, "ndim", 0):
            value = value.item()
            kind = type(value)
            if value is None:  # NaT
                return ""
        if kind is float and value != value:  # noqa: PLR0124 - NaN, which tables take for a missing value
            return ""
        if kind in {int, float, bool, Decimal} or kind.__name__ in _PLAIN:
            return str(value)
        if kind.__module__.partition(".")[0] in _ARRAY_LIBRARIES and getattr(value, "ndim", None) == 0:
            return self._text_of(value.item())
        return self._text_of(str(value)) if issubclass(kind, str) and not hasattr(value, "value") else None

    def _check(self, text: str, fields: set[str]) -> None:
        """Raise where a placeholder would not become what its writer means."""
        for placeholder in find_placeholders(text):
            steps = parse_steps(placeholder.text)
            root = str(steps[0].key) if steps else placeholder.text
            if placeholder.in_prose and steps and root not in fields:
                hint = "`{{...}}` sends braces as they stand."
                near = similar_name_hint(root, sorted(fields))
                if root in self._paths:
                    near = f"; did you mean {{{self._paths[root]}}}?"
                elif not near:
                    near = f"; there {'is' if len(fields) == 1 else 'are'} {', '.join(sorted(fields)[:20])}."
                raise UnknownColumnError(f"{{{placeholder.text}}} names no column{near}", hint=hint)
            if placeholder.in_prose and steps and steps[1:] and root in self._items:
                self._check_item(placeholder.text, root, steps[1])
            if placeholder.in_prose and steps and not self._allow_secrets:
                names = [str(step.key) for step in steps]
                if secret := next((name for name in names if is_secret_name(name)), None):
                    raise ConfigurationError(
                        f"{{{placeholder.text}}}: by its name `{secret}` is a secret, which is not sent.",
                        hint="allow_secrets=True sends it all the same.",
                    )
        checked = interpolate(text, dict.fromkeys(fields, ""))
        if checked.refusal is not None:
            raise ConfigurationError(checked.refusal.partition(" `{{")[0], hint="Or give a function, row -> text.")
        written = [name for name in fields if f"{{{name}}}" in text and f"{{{{{name}}}}}" not in text]
        for name in written:
            if name in self._paths and not name.isidentifier() and not name.isdecimal():  # x^{2} is a formula
                raise ConfigurationError(
                    f"{{{name}}} is no name in Python, and would be sent as it stands.",
                    hint=f"Write {{{self._paths[name]}}}.",
                )
        unused = [f"{{{name}}}" for name in written]
        if unused and not any(each.in_prose for each in find_placeholders(text)):
            raise ConfigurationError(
                f"{unused[0]} stands in code or joined to other text, where nothing is replaced.",
                hint="Set it apart in prose, or give a function, row -> text.",
            )

    def _check_item(self, text: str, root: str, step: Step) -> None:
        """Raise where the dictionaries of a field have no such item in any row."""
        keys = self._items[root]
        if step.attribute and step.key in keys:
            raise ConfigurationError(f"{{{text}}}: an item of {root} is written {{{root}[{step.key!r}]}}.")
        if step.key not in keys:
            near = similar_name_hint(step.key, keys)
            known = near or f"; there {'is' if len(keys) == 1 else 'are'} {', '.join(map(repr, list(keys)[:20]))}."
            raise UnknownColumnError(f"{{{text}}}: there is no column {step.key!r}{known}")
