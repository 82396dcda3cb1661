"""`render`: convert any value to content parts, by the renderer of its kind."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, FileContent, ImageContent, TextContent
from orchat.rendering.arrays import render_array
from orchat.rendering.call_tool_result import is_call_tool_result, render_call_tool_result
from orchat.rendering.data_privacy import Privacy, describe_data, describe_records, holds_data
from orchat.rendering.display_methods import render_display
from orchat.rendering.images import figure_of, render_figure, render_image
from orchat.rendering.library_objects import render_library_object
from orchat.rendering.plain_data import is_plain, json_without_secrets, render_plain
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import describe_error, is_instance_by_name, own_method, type_name
from orchat.rendering.source_code import is_code, render_code, render_exception
from orchat.rendering.table_sources import table_of
from orchat.rendering.tables import render_table
from orchat.rendering.token_budget import Part

_TEXT_BUDGET = 8_000
_VALUE_BUDGET = 2_000
_PARTS = (TextContent, ImageContent, FileContent, AudioContent)
_MAX_VALUES = 16  # of a list of figures, tables and the like


def render(value: object, *, budget: int | None = None, privacy: Privacy = "head") -> list[Part]:
    """Render a Python value as content parts for a model.

    Parameters
    ----------
    value
        Any value. It is not consumed or changed, nothing is imported for it, and errors of its methods become text.
        Images and files are unchanged. In text, what looks like a secret is ``[redacted]``, and so are values under
        names such as ``password`` (`orchat.secrets`).
    budget
        The largest number of tokens, by `estimate_tokens`; None for 8,000 for text and results of MCP
        tools, and 2,000 for anything else.
    privacy
        The content of frames, series, arrays, records and other data of libraries: ``"schema"`` (no values, also of
        kinds that are not known here), ``"head"`` (the first rows) or ``"sample"`` (random rows, the same each time).
        Pictures, single values and plain lists are sent whatever it is.

    Raises
    ------
    ConfigurationError
        The budget is below one token, or there is no such privacy level.

    Examples
    --------
    >>> render({"port": "Hull", "level": 7.1, "api_key": "hunter2"})
    [TextContent(text='{"port": "Hull", "level": 7.1, "api_key": "[redacted]"}', cache_control=None)]
    """
    return list(render_value(value, budget=budget, privacy=privacy).parts)


def render_text(value: object, *, budget: int | None = None, privacy: Privacy = "head") -> str:
    """Render a value as text only, with a description in brackets for an image.

    Examples
    --------
    >>> render_text(range(3))
    '[0, 1, 2]'
    """
    rendered = render_value(value, budget=budget, privacy=privacy)
    if all(isinstance(part, TextContent) for part in rendered.parts):
        return rendered.text
    return Rendered.from_text(rendered.text, "text", budget or _VALUE_BUDGET).text


def render_value(
    value: object, *, budget: int | None = None, privacy: Privacy = "head", allow_secrets: bool = False
) -> Rendered:
    """Render a value as `render` does, with a one-line summary.

    ``allow_secrets`` lets a ``str`` go out as it is, where a person asked for that; other values never.

    Examples
    --------
    >>> render_value({"port": "Hull"}).summary("here")
    'here: dict, 4 tokens'
    """
    if budget is None:
        is_text = issubclass(type(value), str) or is_call_tool_result(value)
        budget = _TEXT_BUDGET if is_text else _VALUE_BUDGET
    if budget < 1:
        raise ConfigurationError(f"A budget of {budget} tokens leaves no room.", hint="Give at least 1.")
    if privacy not in ("schema", "head", "sample"):
        raise ConfigurationError(f"{privacy!r} is no privacy level.", hint="Levels are schema, head and sample.")
    try:
        if allow_secrets and type(value) is str:
            return Rendered.from_text(value, "text", budget, allow_secrets=True)
        return _render_by_kind(value, budget, privacy)
    except Exception as error:  # noqa: BLE001 - anybody's object; a prompt or a tool result must not die of it
        text = f"<{type_name(value)}, which could not be rendered: {describe_error(error)}>"
        return Rendered.from_text(text, f"name of {type_name(value)}, for it failed", budget)


def _render_by_kind(value: Any, budget: int, privacy: Privacy) -> Rendered:
    if isinstance(value, _PARTS):
        return _render_part(value, budget)
    if is_call_tool_result(value):
        return render_call_tool_result(value, budget)
    if (method := own_method(value, "_repr_llm_")) is not None:
        rendered = _render_by_own_method(value, method, budget, privacy)
        if rendered is not None:
            return rendered
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return Rendered.from_text(json_without_secrets(str.__str__(value)), "text", budget)
    if (figure := figure_of(value)) is not None:
        return render_figure(figure, budget)
    if (table := table_of(value)) is not None:
        return render_table(table, budget, privacy)
    if is_instance_by_name(value, "numpy.ndarray"):
        return render_array(value, budget, privacy)
    if is_instance_by_name(value, "PIL.Image.Image"):
        return render_image(value, budget)
    if (rendered := render_library_object(value, budget, privacy)) is not None:
        return rendered
    if is_code(value):
        return render_code(value, budget)
    if isinstance(value, BaseException):
        return render_exception(value, budget)
    if privacy == "schema" and holds_data(value):
        return Rendered.from_text(describe_data(value), f"schema of {type_name(value)}", budget)
    if privacy == "schema" and (described := describe_records(value)) is not None:
        return Rendered.from_text(described, "schema of records", budget)
    if isinstance(value, list | tuple) and any(_has_own_renderer(item) for item in value[:_MAX_VALUES]):
        return _render_items(value, budget, privacy)
    if is_plain(value) and own_method(value, "_repr_markdown_") is None:
        return render_plain(value, budget, privacy)
    return render_display(value, budget)


def _render_by_own_method(value: object, method: Any, budget: int, privacy: Privacy) -> Rendered | None:
    """Render by ``_repr_llm_``, which returns text, parts, or None for the default."""
    name = type_name(value)
    try:
        result = method()
    except Exception as error:  # noqa: BLE001 - anybody's code
        # Who writes this method may mean to hide the rest, so nothing else is tried.
        text = f"<{name}, whose _repr_llm_ failed: {describe_error(error)}>"
        return Rendered.from_text(text, f"name of {name}, for its _repr_llm_ failed", budget)
    if result is None:
        return None
    if isinstance(result, str):
        return Rendered.from_text(result, f"{name} in its own words", budget)
    rendered = (
        _render_by_kind(result, budget, privacy)
        if result is not value and not _has_own_method(result)
        else render_plain(result, budget, privacy)
    )
    return Rendered(rendered.parts, f"{name} in its own words")


def _has_own_method(value: object) -> bool:
    return own_method(value, "_repr_llm_") is not None


def _has_own_renderer(value: object) -> bool:
    """Whether an item of a list has a renderer of its own, such as that of images and tables."""
    try:
        return (
            isinstance(value, _PARTS)
            or _has_own_method(value)
            or figure_of(value) is not None
            or table_of(value) is not None
            or is_instance_by_name(value, "PIL.Image.Image")
        )
    except Exception:  # noqa: BLE001 - anybody's object: as data it is named, beside the others
        return False


def _render_items(values: Sequence[Any], budget: int, privacy: Privacy) -> Rendered:
    """Render each item of a list of tables, figures or parts, with an equal share of the budget."""
    more = len(values) - _MAX_VALUES
    share = (budget - (12 if more > 0 else 0)) // min(len(values), _MAX_VALUES)
    if share < 16:
        return render_plain(values, budget, privacy)
    found = [render_value(value, budget=share, privacy=privacy) for value in values[:_MAX_VALUES]]
    parts = [part for rendered in found for part in rendered.parts]
    if more > 0:
        parts.append(TextContent(f"[... {more:,} more values left out ...]"))
    return Rendered(parts, "; ".join(dict.fromkeys(rendered.what for rendered in found)))


def _render_part(part: Part, budget: int) -> Rendered:
    if isinstance(part, TextContent):
        return Rendered.from_text(part.text, "text", budget)
    kinds = {ImageContent: "image", AudioContent: "audio"}
    return Rendered([part], kinds.get(type(part), "file"))
