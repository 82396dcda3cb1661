"""Find the regular expressions of a Python package, and how each is used."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

_MAKERS = frozenset({"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"})
ALL_USES = frozenset({"search", "finditer"})  # of one whose use does not show: the strictest


@dataclass(frozen=True)
class Found:
    """A regular expression: where it stands, and the methods by which it is used."""

    place: str
    pattern: re.Pattern[str]
    uses: frozenset[str]


class NotKnownError(Exception):
    """An expression is built from names whose values nobody told."""


def modules_of(package: str) -> Iterator[ModuleType]:
    """Give a package and all modules in it."""
    root = importlib.import_module(package)
    yield root
    for info in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def patterns_of(module: ModuleType, values: Mapping[str, Any]) -> Iterator[Found]:
    """Give the regular expressions of a module; ``values`` are examples of what its functions build them from."""
    text = _source(module)
    if not re.search(r"\bre\.", text):  # to walk through all syntax trees takes a second
        return
    nodes = list(ast.walk(ast.parse(text)))
    uses = _uses(nodes)
    for call in nodes:
        if not isinstance(call, ast.Call) or not _is_maker(call):
            continue
        pattern, flags = _arguments(call)
        given = {**vars(module), **values}
        try:
            made = re.compile(_value(pattern, given), _value(flags, given) if flags is not None else 0)
        except NameError as error:
            raise NotKnownError(f"{module.__name__}:{call.lineno}: {error}") from None
        method = call.func.attr  # type: ignore[attr-defined]
        used = {method} if method != "compile" else uses.get(id(call), set())
        yield Found(f"{module.__name__}:{call.lineno}", made, frozenset(used) or ALL_USES)


def _source(module: ModuleType) -> str:
    assert module.__file__ is not None
    with open(module.__file__, encoding="utf-8") as file:
        return file.read()


def _is_maker(call: ast.Call) -> bool:
    made_by = call.func
    return (
        isinstance(made_by, ast.Attribute)
        and isinstance(made_by.value, ast.Name)
        and made_by.value.id == "re"
        and made_by.attr in _MAKERS
    )


def _arguments(call: ast.Call) -> tuple[ast.expr, ast.expr | None]:
    last = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2}.get(call.func.attr, 9)  # type: ignore[attr-defined]
    by_name = [word.value for word in call.keywords if word.arg == "flags"]
    return call.args[0], (by_name or call.args[last : last + 1] or [None])[0]  # type: ignore[list-item]


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "<pattern>", "eval"), dict(names))


def _uses(nodes: Sequence[ast.AST]) -> dict[int, set[str]]:
    """Return the methods that are called on what a call of ``re.compile`` makes, by the call."""
    by_name: dict[str, set[str]] = {}
    uses: dict[int, set[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in _MAKERS:
            owner = node.value.value if isinstance(node.value, ast.Subscript) else node.value
            uses[id(owner)] = {node.attr}
            by_name.setdefault(_name(owner), set()).add(node.attr)
    for node in nodes:
        if isinstance(node, ast.Assign) or (isinstance(node, ast.AnnAssign) and node.value is not None):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            methods = set().union(*(by_name.get(_name(target), set()) for target in targets))
            uses |= {id(inner): methods for inner in ast.walk(node.value) if _is_made(inner) and id(inner) not in uses}
    return uses


def _is_made(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _is_maker(node)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
