"""Render functions, classes and modules as source code, and exceptions as message, last frames and causes."""

from __future__ import annotations

import ast
import inspect
import linecache
import pathlib
import textwrap
import traceback
import types
from typing import Any

from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import describe_error, safe_repr

_MAX_FRAMES = 5
_MAX_OF_A_GROUP = 10
_DEEPEST_GROUP = 4


def is_code(value: object) -> bool:
    """Whether a value is a function, a method, a class or a module."""
    return inspect.isroutine(value) or isinstance(value, type | types.ModuleType)


def render_code(value: Any, budget: int) -> Rendered:
    """Render a code object's source, or its signature and documentation where there is none."""
    kind = "class" if isinstance(value, type) else "module" if isinstance(value, types.ModuleType) else "function"
    name = getattr(value, "__qualname__", None) or value.__name__
    source = _source(value)
    if source is not None:
        return Rendered.from_text(source.rstrip("\n"), f"source of the {kind} {name}", budget)
    try:
        signature = str(inspect.signature(value))
    except (TypeError, ValueError):  # a module, and some builtins
        signature = ""
    text = f"{kind} {name}{signature}\n{inspect.getdoc(value) or ''}".rstrip()
    return Rendered.from_text(text, f"signature of the {kind} {name}", budget)


def _source(value: Any) -> str | None:
    if isinstance(value, type):
        found = _class_in_a_cell(value)
        if found is not None:
            return found
    try:
        return textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError, IndentationError):
        return None


def _class_in_a_cell(kind: type) -> str | None:
    """Find the source of a class that a notebook's cell defined: `inspect` needs a file, which ``__main__`` has not."""
    if kind.__module__ != "__main__":
        return None
    files = {m.__code__.co_filename for m in vars(kind).values() if isinstance(m, types.FunctionType)}
    for file in sorted(files):
        text = "".join(linecache.getlines(file))
        try:
            nodes = list(ast.walk(ast.parse(text)))
        except SyntaxError:
            continue
        for node in nodes:
            if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
                start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines = text.splitlines()[start - 1 : node.end_lineno]
                return textwrap.dedent("\n".join(lines))
    return None


def render_exception(error: BaseException, budget: int) -> Rendered:
    """Render an exception's type and message, its last frames and its causes."""
    lines = [describe_error(error), *(safe_repr(note) for note in getattr(error, "__notes__", ()))]
    lines.extend(
        # The file's name says enough; where it lies says who the user is.
        f"  in {frame.name}, {pathlib.PurePath(frame.filename).name}, line {frame.lineno}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    )
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    seen = {id(error)}
    while cause is not None and id(cause) not in seen and len(seen) < 4:
        seen.add(id(cause))
        lines.append(f"caused by {describe_error(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    if isinstance(error, BaseExceptionGroup):
        lines += _group_lines(error)
    return Rendered.from_text("\n".join(lines), f"exception {type(error).__name__}", budget)


def _group_lines(group: BaseExceptionGroup[BaseException], depth: int = 1) -> list[str]:
    """Return the exceptions of a group, those of inner groups below them."""
    lines = []
    for error in group.exceptions[:_MAX_OF_A_GROUP]:
        lines.append(f"{'  ' * depth}- {describe_error(error)}")
        lines += (
            f"{'  ' * depth}    in {frame.name}, {pathlib.PurePath(frame.filename).name}, line {frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)[-1:]
        )
        if isinstance(error, BaseExceptionGroup) and depth < _DEEPEST_GROUP:
            lines += _group_lines(error, depth + 1)
    more = len(group.exceptions) - _MAX_OF_A_GROUP
    return [*lines, f"{'  ' * depth}... {more:,} more"] if more > 0 else lines
