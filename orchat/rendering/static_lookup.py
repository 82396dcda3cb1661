"""Look up attributes and keys of a value statically, without running its code, to complete ``{value.attribute}``.

No property is read, no ``__getattr__``, ``__dir__`` or ``keys`` of a user's class is called: attributes come from the
dictionaries of instances and classes, keys from built-in containers and the tables of pandas and polars only. What
cannot be found that way is left out.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

NOTHING: Any = object()
"""The result of `get_attribute_static` and `get_item_static` where a value has none of that name."""

_MAX_NAMES = 5_000
_MRO = type.__dict__["__mro__"].__get__
_DICT = type.__dict__["__dict__"].__get__
_METHODS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.WrapperDescriptorType,
    staticmethod,
    classmethod,
)


def static_attributes(value: object) -> list[str]:
    """Return the names of a value's attributes: data first, then methods; those with ``__`` are left out.

    Examples
    --------
    >>> class Ship:
    ...     def __init__(self):
    ...         self.tons = 40
    ...     length = property(lambda self: 1 / 0)
    ...     def sail(self): ...
    >>> static_attributes(Ship())
    ['tons', 'length', 'sail']
    """
    found = dict(islice(_own_dict(value).items(), _MAX_NAMES))
    columns = {name: None for name in _column_names(value) if isinstance(name, str) and name.isidentifier()}
    inherited: dict[str, object] = {}
    for base in _MRO(value if issubclass(type(value), type) else type(value)):
        for name, held in _DICT(base).items():
            inherited.setdefault(name, held)
    methods = {name: None for name, held in inherited.items() if issubclass(type(held), _METHODS)}
    names: dict[str, object] = {**columns, **found, **{name: 0 for name in inherited if name not in methods}, **methods}
    return [name for name in names if type(name) is str and not name.startswith("__")]


def static_keys(value: object) -> list[str | int]:
    """Return the keys that a value can be subscripted with, as far as they are strings or integers.

    Examples
    --------
    >>> static_keys({"ships": 3, 7: "seven", (1, 2): None})
    ['ships', 7]
    """
    kind = type(value)
    found: Iterable[object] = ()
    if issubclass(kind, dict):
        found = dict.keys(value)  # type: ignore[arg-type]  # a subclass may have a method of that name
    elif issubclass(kind, list | tuple):
        size = list.__len__ if issubclass(kind, list) else tuple.__len__
        found = range(min(size(value), 20))  # type: ignore[arg-type]
    else:
        found = _column_names(value)
    return [key for key in islice(found, _MAX_NAMES) if type(key) in (str, int)]  # type: ignore[misc]


def get_attribute_static(value: object, name: str) -> object:
    """Return an attribute that is stored in an instance or class, else `NOTHING`.

    Examples
    --------
    >>> get_attribute_static(types.SimpleNamespace(port="Hull"), "port")
    'Hull'
    """
    if not issubclass(type(value), type) and name in (own := _own_dict(value)):
        inherited = next((_DICT(base)[name] for base in _MRO(type(value)) if name in _DICT(base)), None)
        # What may be set through the class is read through it, too.
        return NOTHING if _class_defines(inherited, "__set__") else own[name]
    for base in _MRO(value if issubclass(type(value), type) else type(value)):
        if name in (held := _DICT(base)):
            # Whatever would be asked what it stands for is left alone.
            return NOTHING if _class_defines(held[name], "__get__") else held[name]
    return NOTHING


def get_item_static(value: object, key: str | int) -> object:
    """Return the item of a built-in container under a key, else `NOTHING`.

    Examples
    --------
    >>> get_item_static({"ships": [1, 2]}, "ships")
    [1, 2]
    """
    if type(value) is dict:
        return value.get(key, NOTHING)
    if type(value) in (list, tuple) and isinstance(key, int) and -len(value) <= key < len(value):  # type: ignore[arg-type]
        return value[key]  # type: ignore[index]
    return NOTHING


def _class_defines(value: object, method: str) -> bool:
    """Whether the class of a value defines a method."""
    return any(method in _DICT(each) for each in _MRO(type(value)))


def _own_dict(value: object) -> Mapping[str, object]:
    """Return the dictionary of an instance, module or class."""
    if issubclass(type(value), type):
        return _DICT(value)  # type: ignore[no-any-return]
    if isinstance(slot := _dictionary_slot(type(value)), types.GetSetDescriptorType | types.MemberDescriptorType):
        own = slot.__get__(value, type(value))
        return own if type(own) is dict else {}
    return {}


def _dictionary_slot(kind: type) -> object:
    for base in _MRO(kind):
        if "__dict__" in (held := _DICT(base)):
            return held["__dict__"]
    return None


def _column_names(value: object) -> Iterator[object]:
    """Yield the column names of a pandas or polars table, by its library's own property."""
    for library in ("pandas", "polars"):
        table = getattr(sys.modules.get(library), "DataFrame", None)
        if isinstance(table, type) and issubclass(type(value), table) and not _overrides_getattribute(type(value)):
            yield from islice(table.__dict__["columns"].__get__(value, table), _MAX_NAMES)


def _overrides_getattribute(kind: type) -> bool:
    """Whether a class overrides ``__getattribute__``, so that reading any attribute runs its code."""
    return any("__getattribute__" in _DICT(base) for base in _MRO(kind) if base is not object)
