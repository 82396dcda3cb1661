"""Code, exceptions, objects with a display of their own, and objects that misbehave."""

from __future__ import annotations

import collections
import functools
import linecache
import math
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import HTML, SVG, Latex, Markdown

from orchat.messages import ImageContent, TextContent
from orchat.rendering import render, render_text, render_value

KEY = "sk-or-v1-0123456789abcdef"


def tide(port: str) -> float:
    """Tell the level."""
    return len(port) * 1.5  # metres


class Gauge:
    """Measures."""

    def read(self) -> float:
        return tide("Hull")


def test_functions_classes_and_modules_are_their_source() -> None:
    assert render_text(tide) == (
        'def tide(port: str) -> float:\n    """Tell the level."""\n    return len(port) * 1.5  # metres'
    )
    assert render_text(Gauge().read) == render_text(Gauge.read) == ('def read(self) -> float:\n    return tide("Hull")')
    assert render_text(Gauge).startswith('class Gauge:\n    """Measures."""\n')
    assert render_text(functools.cache(tide)) == render_text(tide)
    assert render_value(tide).what == "source of the function tide"
    rendered = render_value(collections, budget=100)
    assert rendered.text.startswith("'''This module implements specialized container datatypes")
    assert rendered.what.startswith("source of the module collections, cut from ")


def test_what_has_no_source_is_its_signature_and_documentation() -> None:
    assert render_text(len).startswith("function len(obj, /)\nReturn the number")
    assert render_text(math).startswith("module math\nThis module provides access")
    assert render_text(int).startswith("class int")
    assert render_text(types.ModuleType("made")) == "module made"


def test_a_class_that_a_cell_defined_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = (
        "import functools\n\nclass Other: pass\n\n"
        "@functools.total_ordering\nclass Buoy:\n    def __lt__(self, o): return True\n"
    )
    linecache.cache["<cell 7>"] = (len(cell), None, cell.splitlines(keepends=True), "<cell 7>")
    main = types.ModuleType("__main__")  # as in a kernel: without a file
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(compile(cell, "<cell 7>", "exec"), vars(main))
    assert render_text(main.Buoy) == ("@functools.total_ordering\nclass Buoy:\n    def __lt__(self, o): return True")
    assert render_text(main.Other) == "class Other()"


def test_source_with_a_key_in_it_is_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with_a_key.py").write_text(f"KEY = '{KEY}'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import with_a_key  # type: ignore[import-not-found]

    rendered = render_value(with_a_key)
    assert rendered.text == "KEY = '[redacted]'"
    assert rendered.summary("m") == "m: source of the module with_a_key, secrets redacted, 5 tokens"


def caught(depth: int = 0) -> BaseException:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        try:
            {}["hull"]
        except KeyError as error:
            raise ValueError(f"no tide, {KEY}") from error

    try:
        fail(depth)
    except ValueError as error:
        return error
    raise AssertionError


def test_an_exception_is_type_message_last_frames_and_cause() -> None:
    lines = render_text(caught(50)).splitlines()
    assert lines[0] == "ValueError: no tide, [redacted]"
    assert [line.split(",")[0] for line in lines[1:6]] == ["  in fail"] * 5
    assert lines[5].endswith('raise ValueError(f"no tide, {KEY}") from error')
    assert lines[6:] == ["caused by KeyError: 'hull'"]
    assert str(Path(__file__).parent) not in "\n".join(lines)


def test_an_exception_that_was_never_raised_and_one_that_causes_itself() -> None:
    assert render_text(ValueError()) == "ValueError"
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    assert render_text(error) == "ValueError: a\ncaused by ValueError: b"


class Says:
    """An object whose methods return what they are told, or raise it."""

    def __init__(self, **said: Any) -> None:
        self.__class__ = type("Says", (Says,), {name: self._method(text) for name, text in said.items()})

    @staticmethod
    def _method(said: Any) -> Any:
        def method(self: object, **options: object) -> Any:
            if isinstance(said, BaseException):
                raise said
            return said

        return method


PNG = ImageContent("iVBORw0KGgo=", "image/png")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"_repr_llm_": "mine", "_repr_markdown_": "no", "__repr__": "no"}, "mine"),
        ({"_repr_llm_": {"a": 1}}, '{"a": 1}'),
        ({"_repr_llm_": None, "_repr_markdown_": "**md**"}, "**md**"),
        ({"_repr_llm_": KEY}, "[redacted]"),
        ({"_repr_markdown_": "**md**", "__repr__": "no"}, "**md**"),
        ({"_repr_markdown_": ("**md**", {"a": 1})}, "**md**"),
        ({"_repr_markdown_": ValueError("x"), "__repr__": "repr"}, "repr"),
        ({"_repr_html_": "<b>no</b>", "__repr__": "repr"}, "repr"),
        ({"_repr_html_": "<style>p{}</style><p>a &lt; <b>b</b></p><script>x()</script>"}, "a < b"),
        ({"_repr_latex_": "$x$"}, "$x$"),
        ({"_repr_mimebundle_": {"text/markdown": "md", "text/plain": "no", "text/html": "no"}}, "md"),
        ({"_repr_mimebundle_": ({"text/plain": "plain"}, {})}, "plain"),
        ({"_repr_mimebundle_": {"text/plain": "<X object at 0x7f>", "text/html": "<i>yes</i>"}}, "yes"),
        ({"_repr_mimebundle_": "nonsense", "__repr__": "repr"}, "repr"),
        ({"_repr_png_": ValueError("x"), "__repr__": f"key {KEY}"}, "key [redacted]"),
        ({"__repr__": "<Thing object at 0x7f1234567890>"}, "<Thing object>"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_an_object_says_itself_how_it_looks(said: dict[str, Any], text: str) -> None:
    assert render_text(Says(**said)) == text


def test_repr_llm_may_give_parts() -> None:
    rendered = render_value(Says(_repr_llm_=["see", PNG]))
    assert list(rendered.parts) == [TextContent("see"), PNG]
    assert rendered.what.endswith("Says in its own words")
    assert render_value([Says(_repr_llm_="a"), Says(_repr_llm_="b")]).text == "a\nb"


def test_repr_llm_fails_closed() -> None:
    text = render_text(Says(_repr_llm_=ValueError("broken"), __repr__="what it hides"))
    assert "whose _repr_llm_ failed: ValueError: broken" in text
    assert "hides" not in text
    again = Says()
    type(again)._repr_llm_ = lambda self: self  # type: ignore[attr-defined]
    assert "Says" in render_text(again)


def test_methods_that_every_name_answers_to_do_not_count() -> None:
    assert render_text(Mock(name="thing")).startswith("<Mock name='thing' id=")


def test_ipythons_displays_are_read() -> None:
    assert render_text(Markdown("# Tides")) == "# Tides"
    assert render_text(HTML("<b>high</b> <i>water</i>")) == "high water"
    assert render_text(Latex("$x$")) == "$x$"
    assert render_text(SVG('<svg xmlns="http://www.w3.org/2000/svg"><text>Hull</text></svg>')) == "Hull"


class Evil:
    """Raises whatever is asked."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("leave me")

    def __repr__(self) -> str:
        raise RuntimeError("leave me")


class EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("leave me")


@pytest.mark.parametrize("make", [lambda: Says(__repr__=ValueError("x")), lambda: Says(__repr__=3), Evil, EvilError])
def test_what_an_object_raises_is_said_and_not_raised(make: Callable[[], object]) -> None:
    value = make()
    alone = render_text(value)
    assert "failed" in alone or "could not be rendered" in alone or "cannot be read" in alone
    for among in ([1, value, 2], {"a": [1, value, 2]}):  # one bad item does not hide the others
        text = render_text(among)
        assert "[1, " in text
        assert ", 2]" in text
    assert render(value, budget=3)


@given(
    st.sampled_from([tide, Gauge, math, caught(9), Says(__repr__="潮" * 9_999), HTML("x" * 99)]), st.integers(1, 300)
)
def test_any_object_fits_any_budget(value: Any, budget: int) -> None:
    assert render_value(value, budget=budget).tokens <= budget


def test_nothing_is_imported_for_it() -> None:
    program = """
import sys
from orchat.rendering import render
for value in ("x", {"a": [1.5, None]}, object(), len, ValueError("x"), (n for n in "ab"), sys):
    render(value)
heavy = {"numpy", "pandas", "polars", "matplotlib", "PIL", "plotly", "torch", "pydantic", "IPython", "httpx2"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
