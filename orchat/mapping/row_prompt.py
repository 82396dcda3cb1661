"""`RowPrompt`: the messages of a row, of a prompt with placeholders or of a function; images go as images."""

from __future__ import annotations

import base64
import inspect
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Any

from orchat.errors import ConfigurationError
from orchat.mapping.row_source import ROW, VALUE, RowSource
from orchat.messages import ChatMessage, ImageContent
from orchat.prompt_language.interpolation import parse_steps, similar_name_hint
from orchat.prompt_language.placeholder_parser import find_placeholders
from orchat.prompt_language.prompt_template import MissingValueError, PromptTemplate, is_missing
from orchat.rendering import question_parts

Prompt = str | Callable[[Any], Any]

_IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".avif", ".heic")


class RowPrompt:
    """Makes the messages of rows.

    Parameters
    ----------
    prompt
        A text whose placeholders name columns, or a function that takes a row (a dictionary, or a value) and returns a
        text, content parts or messages; None for a row that is not asked.
    source
        The rows.
    system
        A system message before each; placeholders are replaced in one that names columns.
    images
        Columns whose texts are paths or addresses of images; ``value`` for rows that are values.
    allow_secrets
        Whether what looks like a secret in a value is sent all the same.

    Raises
    ------
    ConfigurationError
        A placeholder or ``images`` names no column, or one that several columns are called (a ValueError).
    TypeError
        The prompt is neither a text nor a function.

    Examples
    --------
    >>> from orchat.mapping.row_source import row_source
    >>> prompt = RowPrompt("Where is {value}?", row_source(["Hull", "Goole"]))
    >>> prompt.messages("Hull")[0].text
    'Where is Hull?'
    """

    def __init__(
        self,
        prompt: Prompt,
        source: RowSource,
        *,
        system: str | None = None,
        images: Collection[str] = (),
        allow_secrets: bool = False,
    ) -> None:
        if not isinstance(prompt, str) and not callable(prompt):
            raise TypeError(f"The prompt is a text or a function, not {type(prompt).__name__}.")
        if any(map(inspect.iscoroutinefunction, (prompt, type(prompt).__call__))):
            raise TypeError("The prompt is an async function, which nobody awaits: give one that returns the prompt.")
        if isinstance(prompt, str) and not prompt.strip():
            raise ConfigurationError("The prompt is empty.", hint="Write {column} where a row's value belongs.")
        self._is_table = source.is_table
        self._images = frozenset([images] if isinstance(images, str) else images)
        for name in self._images - set(source.fields):
            raise ConfigurationError(f"images: there is no column {name!r}{similar_name_hint(name, source.fields)}")
        self._function = None if isinstance(prompt, str) else prompt
        self._template: PromptTemplate | None = None
        fields = [*source.fields, *source.ambiguous]
        if isinstance(prompt, str):
            self._template = self._template_of(prompt, source, fields, allow_secrets)
        self._before = [ChatMessage.from_system(system)] if system else []
        self._system: PromptTemplate | None = None
        if system and _names_any(system, fields):
            self._system = self._template_of(system, source, fields, allow_secrets)
        self._used = list(dict.fromkeys([*(self.columns or ()), *(self._system.fields if self._system else ())]))
        if double := sorted(source.ambiguous & set(self._used)):
            raise ConfigurationError(f"Several columns are called {double[0]!r}.", hint="Rename them.")

    @staticmethod
    def _template_of(text: str, source: RowSource, fields: Collection[str], allow_secrets: bool) -> PromptTemplate:
        items = {ROW: source.labels} if source.labels and ROW not in source.columns else {}
        return PromptTemplate(text, fields, allow_secrets=allow_secrets, paths=_paths_within(source), items=items)

    @property
    def columns(self) -> list[str] | None:
        """The columns that it reads; None for all."""
        if self._template is None:
            return None
        of_system = self._system.fields if self._system else ()
        return list(dict.fromkeys([*self._template.fields, *self._images, *of_system]))

    @property
    def is_function(self) -> bool:
        """Whether a function makes the prompts."""
        return self._function is not None

    @property
    def is_constant(self) -> bool:
        """Whether the prompt is the same for every row."""
        return self.columns == []

    def messages(self, row: Any) -> list[ChatMessage]:
        """Return the messages of a row.

        Raises
        ------
        MissingValueError
            The row has a value for none of the placeholders, or the function returned None.
        Exception
            Whatever the function raises.
        """
        if self._function is not None:
            before = self._before if self._system is None else self._filled_system(self._values(row))
            return [*before, *self._of_result(self._function(row))]
        assert self._template is not None
        values = self._values(row)
        before = self._before if self._system is None else self._filled_system(values)
        for name, value in values.items():
            is_file = type(value) is not str and isinstance(value, bytes | bytearray | PathLike)
            if is_file or name in self._images:
                values[name] = _image(value)
        filled = self._template.fill(values)
        if extra := [values[name] for name in self._images if name not in self._template.fields]:
            parts = [filled] if isinstance(filled, str) else list(filled)
            return [*before, ChatMessage.from_user(content_parts=[*parts, *extra])]
        if isinstance(filled, str):
            return [*before, ChatMessage.from_user(filled)]
        return [*before, ChatMessage.from_user(content_parts=filled)]

    def _filled_system(self, values: Mapping[str, Any]) -> list[ChatMessage]:
        assert self._system is not None
        filled = self._system.fill(values)
        if not isinstance(filled, str):
            raise TypeError("the system message takes texts, numbers and dates only")
        return [ChatMessage.from_system(filled)]

    def _values(self, row: Any) -> dict[str, Any]:
        """Return a row's values by the names that the prompt uses; what else is in the row is nobody's trouble."""
        if not self._is_table:
            return {VALUE: row}
        if not isinstance(row, Mapping):
            raise TypeError(f"this row is a {type(row).__name__}; the first one has columns")
        values = {name: row[name] for name in self._used if name in row}
        if ROW in self._used:  # what is missing in a table shall be null in JSON, not the text "nan"
            values.setdefault(ROW, {name: None if is_missing(value) else value for name, value in row.items()})
        return values

    def _of_result(self, result: Any) -> list[ChatMessage]:
        """Make messages of what the function returned."""
        if isinstance(result, str):
            return [ChatMessage.from_user(result)]
        if result is None:
            raise MissingValueError("the function gives no prompt for this row")
        items: Sequence[Any] = result if isinstance(result, list | tuple) else [result]
        if items and all(isinstance(item, ChatMessage) for item in items):
            return list(items)
        if items and all(isinstance(item, Mapping) and "role" in item for item in items):  # in the OpenAI format
            return [ChatMessage.from_openai_dict_format(item) for item in items]
        return [ChatMessage.from_user(content_parts=question_parts(items))]


def _paths_within(source: RowSource) -> dict[str, str]:
    """Return how a prompt names what is no name in Python, or a part of rows that are objects or records."""
    if source.is_table:
        return {str(label): f"{ROW}[{label!r}]" for label in source.labels if not str(label).isidentifier()}
    if source.is_iterator or not source.count:
        return {}
    first = next(source.rows(), None)
    items: Sequence[str] = getattr(getattr(first, "dtype", None), "names", None) or ()
    if isinstance(first, sqlite3.Row):
        items = first.keys()
    kind = type(first)
    attributes = [
        *getattr(kind, "__match_args__", ()),
        *getattr(kind, "model_fields", ()),
        *getattr(first, "__dict__", ()),
    ]
    return {name: f"{VALUE}[{name!r}]" for name in items} | {name: f"{VALUE}.{name}" for name in attributes}


def _names_any(text: str, fields: Collection[str]) -> bool:
    """Whether a placeholder of a text names one of the fields."""
    found = [parse_steps(placeholder.text) for placeholder in find_placeholders(text) if placeholder.in_prose]
    return any(steps and str(steps[0].key) in fields for steps in found)


def _image(value: Any) -> Any:
    """Make the image of bytes, a path or an address; what is one, or nothing, stays as it is."""
    if isinstance(value, bytes | bytearray):
        image = ImageContent(base64.b64encode(value).decode("ascii"))
        if image.mime_type is None or not image.mime_type.startswith("image/"):
            raise ValueError("the bytes are no image that is known")
        return image
    if isinstance(value, str) and value.startswith(("http://", "https://", "data:")):
        return ImageContent.from_url(value)
    if isinstance(value, str | PathLike):
        if not str(value).lower().endswith(_IMAGE_ENDINGS):
            raise ValueError(f"{str(value)!r:.100} is no name of an image file")
        return ImageContent.from_file_path(value)  # type: ignore[arg-type]  # any path will do
    return value
