"""Types of Python as a ``response_format``: endpoints want an object at the root, so that lists and values get one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from types import GenericAlias
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

ANSWER = "answer"
"""The property, or column, of an answer that has no fields."""
ITEMS = "items"
"""The property that holds the items of a list."""


@dataclass(frozen=True)
class ResponseType:
    """A type whose root is an object, and the property that was put around it for that.

    Parameters
    ----------
    response_format
        A pydantic class, or a dictionary.
    unwrap
        Makes the user's object of a parsed answer.
    wrapper
        The property around it; None for none.
    """

    response_format: Any
    unwrap: Callable[[Any], Any] = lambda parsed: parsed
    wrapper: str | None = None


@lru_cache(maxsize=64)  # to make a class takes longer than all else of a request
def response_type(schema: Any) -> ResponseType:
    """Read a type: a pydantic class, dataclass, TypedDict, Literal, Enum, plain type, or a list of one.

    Examples
    --------
    >>> shape = response_type(list[int])
    >>> shape.wrapper, shape.unwrap(shape.response_format(items=[1, 2]))
    ('items', [1, 2])
    """
    from pydantic import RootModel, create_model

    if isinstance(schema, type) and hasattr(schema, "model_json_schema"):
        return ResponseType(schema)
    if is_typeddict(schema):
        return ResponseType(_model_of_typeddict(schema), lambda parsed: parsed.model_dump(exclude_unset=True))
    if dataclasses.is_dataclass(schema) and isinstance(schema, type):
        model = create_model(schema.__name__, __base__=RootModel[schema])
        return ResponseType(model, lambda parsed: parsed.root)
    if get_origin(schema) is list and get_args(schema):
        (item,) = get_args(schema)
        inner = response_type(item) if is_typeddict(item) else ResponseType(item)
        many = GenericAlias(list, (inner.response_format,))
        fields: dict[str, Any] = {ITEMS: (many, ...)}
        return ResponseType(
            create_model("Answers", **fields),
            lambda parsed: [inner.unwrap(each) for each in getattr(parsed, ITEMS)],
            ITEMS,
        )
    fields = {ANSWER: (schema, ...)}
    return ResponseType(create_model("Answer", **fields), lambda parsed: getattr(parsed, ANSWER), ANSWER)


def _model_of_typeddict(schema: Any) -> Any:
    """Make a pydantic class of a TypedDict: before Python 3.12 pydantic reads none of `typing`."""
    from pydantic import create_model

    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(schema, include_extras=True).items():
        if get_origin(hint) in {Required, NotRequired}:
            hint = get_args(hint)[0]  # noqa: PLW2901 - what is in it
        fields[name] = (hint, ...) if name in schema.__required_keys__ else (hint | None, None)
    return create_model(schema.__name__, **fields)
