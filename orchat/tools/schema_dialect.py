"""The dialect of a JSON Schema: the one that its ``$schema`` names, or the newest one in which it is a schema.

Tools of other makers are written in all of them. Where a schema is none in the dialect that it names, or names none,
the others are tried from the newest to the oldest: a tuple of draft-07 or ``exclusiveMinimum: true`` of draft-04
makes no tool impossible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

from orchat.tools.pure_schema_validator import PureSchemaValidator

if TYPE_CHECKING:
    from jsonschema_rs import Validator

# By what ``$schema`` names, from the newest to the oldest: the class of the validator.
DIALECTS: Final = {
    "2020-12": "Draft202012Validator",
    "2019-09": "Draft201909Validator",
    "draft-07": "Draft7Validator",
    "draft-06": "Draft6Validator",
    "draft-04": "Draft4Validator",
}
_NAME = re.compile(r"https?://json-schema\.org/(?:draft/)?(2020-12|2019-09|draft-0[467])/(?:hyper-)?schema#?")


def named_dialect(schema: object) -> str | None:
    """Return the dialect that a schema's ``$schema`` names, None without one that is known.

    Examples
    --------
    >>> named_dialect({"$schema": "http://json-schema.org/draft-07/schema#"})
    'draft-07'
    >>> named_dialect({"type": "object"}) is None
    True
    """
    uri = schema.get("$schema") if isinstance(schema, Mapping) else None
    found = _NAME.fullmatch(uri) if isinstance(uri, str) else None
    return found[1] if found is not None else None


def make_validator(schema: Any, retriever: Callable[[str], Any]) -> Validator:
    """Make the validator of a schema, in its dialect.

    Parameters
    ----------
    schema
        The schema.
    retriever
        Called with the address of a schema that this one refers to.

    Raises
    ------
    ValueError
        It is a schema in no dialect; the reason is that of the one which it names, or else of 2020-12.
    ImportError
        Neither jsonschema-rs nor, as in Pyodide, jsonschema is installed.

    Examples
    --------
    >>> pair = {"items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}
    >>> type(make_validator(pair, print)).__name__, make_validator(pair, print).is_valid(["Hull", 3, 4])
    ('Draft201909Validator', False)
    """
    try:
        fast: Any = import_module("jsonschema_rs")
    except ImportError:
        fast = None
    error: ValueError | None = None
    for dialect in _candidates(schema):
        try:
            if fast is None:
                return cast("Validator", PureSchemaValidator(schema, DIALECTS[dialect], retriever))
            return cast("Validator", getattr(fast, DIALECTS[dialect])(schema, retriever=retriever))
        except ValueError as caught:
            error = error or caught
    assert error is not None
    raise error


def _candidates(schema: object) -> Iterator[str]:
    first = named_dialect(schema)
    if first is None and _has_keyword(schema, "$recursiveRef"):  # 2020-12 takes it for a word of somebody's own
        first = "2019-09"
    if first is not None:
        yield first
    yield from (dialect for dialect in DIALECTS if dialect != first)


def _has_keyword(schema: object, keyword: str) -> bool:
    nodes, seen = [schema], set()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        if isinstance(node, dict):
            if keyword in node:
                return True
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
        else:
            continue
        seen.add(id(node))  # a schema of Python may hold itself
    return False
