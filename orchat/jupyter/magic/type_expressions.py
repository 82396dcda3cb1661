"""Expressions of types in a magic's line, such as ``list[Person]``, read without `eval`."""

from __future__ import annotations

import ast
import typing
from collections.abc import Mapping
from typing import Any

_PLAIN_TYPES: Mapping[str, Any] = {
    **{each.__name__: each for each in (bool, dict, float, int, list, set, str, tuple)},
    **{name: getattr(typing, name) for name in ("Annotated", "Any", "Dict", "List", "Literal", "Optional", "Union")},
}


class TypeNameError(ValueError):
    """A name in an expression that is no type.

    Parameters
    ----------
    message
        A sentence.
    name
        The name.
    """

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


def resolve_type(text: str, names: Mapping[str, object]) -> Any:
    """Return the type that an expression of names describes; no function of the notebook is called.

    Parameters
    ----------
    text
        The expression.
    names
        The notebook's variables; those of Python's own types and of `typing` need none.

    Raises
    ------
    TypeNameError
        It is no such expression, or a name in it is unknown.

    Examples
    --------
    >>> resolve_type("list[Literal['good', 'bad'] | None]", {})
    list[typing.Optional[typing.Literal['good', 'bad']]]
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _type_of(tree, names)
    except TypeNameError:
        raise
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        raise TypeNameError(f"{text[:80]!r} is no type.", text) from None


def _type_of(node: ast.expr, names: Mapping[str, object]) -> Any:
    match node:
        case ast.Name(name):
            if name in names:
                return names[name]
            if name in _PLAIN_TYPES:
                return _PLAIN_TYPES[name]
            raise TypeNameError(f"there is no variable {name}.", name)
        case ast.Constant(None):
            return None
        case ast.BinOp(left, ast.BitOr(), right):
            return typing.Union[_type_of(left, names), _type_of(right, names)]  # noqa: UP007 - of values
        case ast.Subscript(value, index):
            outer = _type_of(value, names)
            inner = index.elts if isinstance(index, ast.Tuple) else [index]
            if outer is typing.Literal:
                # A word is itself: the line's own quoting takes quotes away.
                arguments = [each.id if isinstance(each, ast.Name) else ast.literal_eval(each) for each in inner]
            else:
                arguments = [_type_of(each, names) for each in inner]
            if not (any(outer is plain for plain in _PLAIN_TYPES.values()) or _is_generic(outer)):
                raise TypeError
            return outer[arguments[0] if len(arguments) == 1 else tuple(arguments)]
    raise TypeError


def _is_generic(outer: object) -> bool:
    """Whether it is a class that takes types in brackets by what a library wrote, and by nothing of the notebook."""
    if not issubclass(type(outer), type) or any("__getitem__" in vars(each) for each in type(outer).__mro__):
        return False  # an enumeration has members in its brackets
    bases = type.__getattribute__(outer, "__mro__")
    owner = next((each for each in bases if "__class_getitem__" in vars(each)), None)
    return owner is not None and owner.__module__ != "__main__"
