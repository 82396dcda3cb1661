from __future__ import annotations

import contextlib
import functools
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import ConfigurationError, SerializationError
from orchat.tools import allow_modules
from orchat.tools.import_path import import_path_of, resolve_import_path
from tests.tools import samples
from tests.tools.samples import PATH


@pytest.mark.parametrize(
    ("function", "path"),
    [
        (print, "builtins.print"),
        (json.dumps, "json.dumps"),
        (samples.shout, f"{PATH}.shout"),
        (samples.wait_for, f"{PATH}.wait_for"),
        (samples.Maker, f"{PATH}.Maker"),
        (samples.Maker.make, f"{PATH}.Maker.make"),
        (samples.Heir.make, f"{PATH}.Heir.make"),
        (samples.Maker.plain, f"{PATH}.Maker.plain"),
        (samples.Maker.Inner.deep, f"{PATH}.Maker.Inner.deep"),
        (samples.decorated.function, f"{PATH}.decorated"),
    ],
)
def test_path_of(function: Any, path: str) -> None:
    assert import_path_of(function) == path


def _nested() -> Any:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda: None, "A lambda"),
        (_nested(), "nested function"),
        (samples.instance.method, "method of an instance"),
        ([].append, "method of an instance"),
        (samples.Maker.method, "The method"),
        (samples.instance, "A Maker object"),
        (samples.partial, r"A functools\.partial"),
        (functools.partial(print), r"A functools\.partial"),
        (str.upper, "method_descriptor"),
        (3, "A int object"),
    ],
)
def test_what_has_no_path_is_refused(function: Any, what: str) -> None:
    with pytest.raises(SerializationError, match=what):
        import_path_of(function)


@pytest.mark.usefixtures("samples_allowed")
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("shout", samples.shout),
        ("Maker", samples.Maker),
        ("Heir.make", samples.Heir.make),
        ("Maker.plain", samples.Maker.plain),
        ("Maker.Inner.deep", samples.Maker.Inner.deep),
        ("decorated", samples.decorated.function),
        ("decorated_async", samples.decorated_async.async_function),
    ],
)
def test_an_allowed_module_is_searched(path: str, found: Any) -> None:
    assert resolve_import_path(f"{PATH}.{path}") == found


@pytest.mark.usefixtures("samples_allowed")
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("absent", "`absent` is not there"),
        ("Maker.absent", "`absent` is not there"),
        ("number", "A int object"),
        ("instance", "A Maker object"),
        ("instance.method", "leads through something"),
        ("Maker.method", "The method"),
        ("lambda_", "A lambda"),
        ("partial", r"functools\.partial"),
        ("shout.__globals__", "`__globals__` is no public name"),
        ("Maker.__class__", "`__class__` is no public name"),
        ("shout.__wrapped__.x", "no public name"),
        ("re_exported_module.system", "`re_exported_module` is a module that was imported there"),
        ("re_exported_function", r"the module `posix` is not allowed. If you trust it, .*allow_modules\(\"posix\"\)"),
        ("BaseModel", r"`pydantic.main` is not allowed"),
        ("Place.parse_raw", "is not allowed"),
        ("tool", "of orchat itself"),
    ],
)
def test_what_is_not_defined_in_an_allowed_module_stays_out_of_reach(path: str, why: str) -> None:
    with pytest.raises(SerializationError, match=why):
        resolve_import_path(f"{PATH}.{path}")


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "subprocess.run",
        "posix.system",
        "importlib.import_module",
        "pickle.loads",
        "orchat.tools.allow_modules",
        "orchat.tools.import_path.allow_modules",
        "orchat.tools.import_path._allowed.append",
        "orchat.errors.redact",
        "haystack.utils.type_serialization.thread_safe_import",
        f"{PATH}.shout",
        *(
            f"builtins.{name}"
            for name in ("eval", "exec", "compile", "open", "getattr", "setattr", "type", "input", "vars")
        ),
        *(
            f"builtins.{name}"
            for name in ("__import__", "breakpoint", "globals", "absent", "print.__self__", "str.format")
        ),
        "print",
        "eval",
        "",
        ".",
        "..",
        "__main__",
        "a b.c",
        "__import__('os').system",
        "builtins",
    ],
)
def test_nothing_else_is_loaded(path: str) -> None:
    with pytest.raises(SerializationError) as caught:
        resolve_import_path(path)
    assert f"`{path}`" in str(caught.value)


@pytest.mark.parametrize("path", [None, 3, ["builtins.print"], {"type": "x"}, print])
def test_a_path_must_be_a_text(path: Any) -> None:
    with pytest.raises(SerializationError, match="by its path"):
        resolve_import_path(path)


def test_harmless_builtins_need_no_permission() -> None:
    assert resolve_import_path("builtins.print") is print
    assert resolve_import_path("builtins.str") is str


def test_a_refused_module_is_never_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SerializationError, match="`trap_module` is not allowed"):
        resolve_import_path("trap_module.function")
    assert "trap_module" not in sys.modules


def test_the_notebook_itself_is_searched(notebook: ModuleType) -> None:
    assert resolve_import_path("__main__.double") is notebook.double
    assert import_path_of(notebook.double) == "__main__.double"
    assert resolve_import_path("__main__.half") is notebook.half.function
    assert resolve_import_path("__main__.Box") is notebook.Box
    assert resolve_import_path("__main__.Box.open")() == "opened"
    assert resolve_import_path("__main__.Box.made")() == "made"
    assert resolve_import_path("__main__.text") is print


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "system",
        "evaluate",
        "Box.module.system",
        "Box.run",
        "Box.value",
        "box.open",
        "Box.remote",
        "Box.code",
        "Box.mro",
        "allow_modules",
        "tool",
    ],
)
@pytest.mark.usefixtures("notebook")
def test_what_a_notebook_only_imported_is_out_of_reach(path: str) -> None:
    with pytest.raises(SerializationError, match="cannot be loaded"):
        resolve_import_path(f"__main__.{path}")


@pytest.mark.parametrize(
    "pattern", ["tests", "tests.*", "tests.tools.*", "tests.tools.samples", "t*ts.tools.sam*", "*", " tests "]
)
def test_patterns_that_allow(pattern: str) -> None:
    allow_modules("other", pattern)
    allow_modules(pattern)
    assert resolve_import_path(f"{PATH}.shout") is samples.shout


@pytest.mark.parametrize(
    "pattern", ["test", "tests.tool", "tests.tools.samples.shout", "*.sample", "ests.*", "tests.?"]
)
def test_patterns_that_do_not_match(pattern: str) -> None:
    allow_modules(pattern)
    with pytest.raises(SerializationError, match="is not allowed"):
        resolve_import_path(f"{PATH}.shout")


@pytest.mark.parametrize("pattern", ["", "  ", None, 3])
def test_patterns_that_are_none(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="no module pattern"):
        allow_modules(pattern)


def test_the_environment_allows_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_ALLOWED_MODULES", "json, ,tests.*")
    assert resolve_import_path("json.dumps") is json.dumps
    assert resolve_import_path(f"{PATH}.shout") is samples.shout


def test_even_if_everything_is_allowed_some_things_are_not() -> None:
    allow_modules("*")
    for path in ("builtins.eval", "orchat.tools.allow_modules", f"{PATH}.tool", f"{PATH}.shout.__globals__"):
        with pytest.raises(SerializationError):
            resolve_import_path(path)


def test_an_allowed_module_that_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    (tmp_path / "needy_module.py").write_text("import a_module_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    allow_modules("broken_module", "needy_module", "missing_module", "json")
    with pytest.raises(SerializationError, match=r"importing `broken_module` failed: ZeroDivisionError"):
        resolve_import_path("broken_module.function")
    with pytest.raises(SerializationError, match="needs the missing module `a_module_nobody_has`"):
        resolve_import_path("needy_module.function")
    with pytest.raises(SerializationError, match=r"there is no module `missing_module\.sub`"):
        resolve_import_path("missing_module.sub.function")
    with pytest.raises(SerializationError, match="`absent` is not there"):
        resolve_import_path("json.absent.function")


def test_haystacks_callback_becomes_our_own() -> None:
    from orchat.streaming import print_streaming_chunk

    assert resolve_import_path("haystack.components.generators.utils.print_streaming_chunk") is print_streaming_chunk
    assert resolve_import_path(import_path_of(print_streaming_chunk)) is print_streaming_chunk
    assert resolve_import_path("orchat.print_streaming_chunk") is print_streaming_chunk


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["builtins", "__main__", "orchat", "os", "", "x", "str"])).map(".".join)
)
def test_any_text_ends_in_a_callable_or_a_serialization_error(path: str) -> None:
    with contextlib.suppress(SerializationError):
        assert callable(resolve_import_path(path))
