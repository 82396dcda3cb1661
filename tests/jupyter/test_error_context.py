"""What `%openrouter fix` knows of an error: its source, its chain, the variables; bounded, and without secrets."""

from __future__ import annotations

import ast
import re

import pytest

from orchat.jupyter.magic.error_context import ErrorContext, VariableContext
from orchat.jupyter.magic.traceback_frames import SourceLocation
from orchat.prompt_language.interpolation import SentValue
from orchat.rendering import estimate_tokens
from tests.jupyter.kernel import Kernel

pytestmark = pytest.mark.slow

LOOK = "from orchat.jupyter.magic.error_context import last_error_context\nfailure = last_error_context(get_ipython())"


def fails(kernel: Kernel, *cells: str) -> tuple[str, str]:
    """Run cells, the last of which fails; what is shown before anything is sent, and what is sent."""
    *before, last = kernel.run(*cells)
    assert all(cell.status == "ok" for cell in before), before
    assert last.status == "error"
    (looked,) = kernel.run(LOOK)
    assert looked.status == "ok", looked.content
    line, prompt = ast.literal_eval(kernel.value("(failure.summary, failure.prompt())"))
    return re.sub(r"In\[\d+\]", "In[N]", line), re.sub(r"In\[\d+\]", "In[N]", prompt)


def test_a_failure_in_a_function_of_another_cell(kernel: Kernel) -> None:
    line, prompt = fails(
        kernel,
        "def mean(xs):\n    total = sum(xs)\n    return total / len(xs)",
        "empty = []\nnever_used = 'x' * 100",
        "# The mean of nothing\nmean(empty)",
    )
    assert line == (
        "Sends the error and the source of In[N] and In[N], "
        "with the variables xs (list, 1 token), total (int, 1 token) and empty (list, 1 token)."
    )
    assert "\n```\nZeroDivisionError: division by zero\n  in <module>, line 2 of In[N]: mean(empty)\n" in prompt
    assert "\n  in mean, line 3 of In[N]: return total / len(xs)\n```" in prompt
    assert "```\n    1 | # The mean of nothing\n--> 2 | mean(empty)\n```" in prompt
    assert "--> 3 |     return total / len(xs)\n```" in prompt
    assert prompt.endswith("Variables:\n```\nxs = []\ntotal = 0\nempty = []\n```")
    assert "corrected code of the one cell" in prompt
    assert "never_used" not in prompt


@pytest.mark.parametrize(
    ("cell", "error", "source"),
    [
        ("x = = 1", "SyntaxError: invalid syntax", "--> 1 | x = = 1"),
        ("foo(\nbar", "SyntaxError: ", "    1 | foo(\n--> 2 | bar"),
        ("if 1:\n  x = 1\n y = 2", "IndentationError: unindent", "    1 | if 1:\n    2 |   x = 1\n--> 3 |  y = 2"),
        ("'''abc", "SyntaxError: ", "--> 1 | '''abc"),
        ("%nosuch", "UsageError: Line magic function `%nosuch` not found.", "--> 1 | %nosuch"),
        ("%%time\nx = 1\n1 / 0", "ZeroDivisionError: division by zero", "    1 | %%time\n    2 | x = 1\n    3 | 1 / 0"),
        (
            "async def g(n): return 1 / n\nawait g(0)",
            "ZeroDivisionError",
            "--> 1 | async def g(n): return 1 / n\n--> 2 | await g(0)",
        ),
        ("assert 1 == 2, 'sums'", "AssertionError: sums", "--> 1 | assert 1 == 2, 'sums'"),
        ("eval('1 +')", "SyntaxError: invalid syntax", "--> 1 | eval('1 +')"),
    ],
)
def test_every_kind_of_failure_has_its_source(kernel: Kernel, cell: str, error: str, source: str) -> None:
    line, prompt = fails(kernel, cell)
    assert f"The error:\n```\n{error}" in prompt
    assert f"The source of In[N]:\n```\n{source}" in prompt
    assert line.startswith("Sends the error and the source of In[N]")


def test_the_chain_and_the_notes_go_along(kernel: Kernel) -> None:
    code = (
        "try:\n    int('x')\nexcept ValueError as cause:\n    error = RuntimeError('no number')\n"
        "    error.add_note('in row 3')\n    raise error from cause"
    )
    _, prompt = fails(kernel, code)
    assert "RuntimeError: no number\n'in row 3'\n  in <module>, line 6 of In[N]: raise error from cause\n" in prompt
    assert "\ncaused by ValueError: invalid literal for int() with base 10: 'x'\n  in <module>, line 2 of" in prompt
    assert "--> 2 |     int('x')" in prompt
    assert "--> 6 |     raise error from cause" in prompt
    assert prompt.count("The source of In[N]") == 1
    _, prompt = fails(kernel, "try:\n    {}['a']\nexcept KeyError:\n    1 / 0")
    assert "\nraised while handling KeyError: 'a'\n" in prompt
    _, prompt = fails(kernel, "raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])")
    assert "\none of them: ValueError: a\none of them: KeyError: 'b'" in prompt


def test_nothing_secret_goes_along(kernel: Kernel) -> None:
    _, prompt = fails(
        kernel,
        "token = 'sk-or-v1-0123456789abcdef01'\nurl = 'postgresql://ada:hunter2@db/tides'\nmy_password = 'hunter3'\n"
        "config = {'api_key': 'hunter4', 'port': 5}\n",
        "db_password = 'hunter5'; login = {\"password\": 'hunter6'}\n"
        "raise ValueError(token + url + my_password[:0] + str(config['port']))",
    )
    assert "hunter" not in prompt
    assert "sk-or" not in prompt
    assert "db_password = '[redacted]'; login = {\"password\": '[redacted]'}" in prompt
    assert "my_password = [redacted]" in prompt
    line = kernel.value("failure.summary")
    assert "my_password (its value stays here)" in line
    assert "hunter" not in kernel.value("failure")


def test_names_that_begin_like_keys_go_along(kernel: Kernel) -> None:
    cells = "user_email, hf_hub_download, pk_constraint_x = 'a@b.example', len, 7\nsk_learn = {'user_age': 31}"
    _, prompt = fails(kernel, cells, "print(user_emial, sk_learn, hf_hub_download, pk_constraint_x)")
    assert "NameError: name 'user_emial' is not defined" in prompt
    assert "print(user_emial, sk_learn, hf_hub_download, pk_constraint_x)" in prompt
    assert "[redacted]" not in prompt


def test_the_key_of_the_environment_stays_here_whatever_it_looks_like(kernel: Kernel) -> None:
    cells = "import os\nkept = os.environ.get('OPENROUTER_API_KEY')\nos.environ['OPENROUTER_API_KEY'] = 'open sesame'"
    _, prompt = fails(kernel, cells, "said = 'open sesame'\nraise ValueError(said)")
    assert "sesame" not in prompt
    kernel.run("os.environ['OPENROUTER_API_KEY'] = kept")


def test_it_is_bounded(kernel: Kernel) -> None:
    _, prompt = fails(
        kernel,
        "".join(f"v{n} = list(range(100_000))\n" for n in range(30)),
        "\n".join(["# " + "long " * 100] * 500 + [f"f({', '.join(f'v{n}' for n in range(30))}, 'y' * 10**6)"]),
    )
    assert estimate_tokens(prompt) < 6_000
    assert "--> 501 | f(v0" in prompt
    assert "NameError" in prompt
    _, prompt = fails(kernel, "raise ValueError('x' * 10**6)")
    assert estimate_tokens(prompt) < 1_000
    # A quarter of the frames, for IPython looks at each of them for milliseconds.
    kernel.run("import sys\nlimit = sys.getrecursionlimit()")
    _, prompt = fails(kernel, "def f(): f()\nsys.setrecursionlimit(250)\nf()")
    assert prompt.count("in f, line") == 7
    kernel.run("sys.setrecursionlimit(limit)")


def test_code_in_files_is_told_by_name_only(kernel: Kernel, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("secret-project")
    (folder / "tides.py").write_text("\n" * 40 + "def high(port):\n    return LEVELS[port]\n\nLEVELS = {'Hull': 7}\n")
    line, prompt = fails(
        kernel, f"import sys; sys.path.insert(0, {str(folder)!r})\nimport tides", "tides.high('Goole')"
    )
    assert line == (
        "Sends the error and the source of In[N] and tides.py, "
        "with the variables port (text, 2 tokens) and LEVELS (dict, 3 tokens)."
    )
    assert "--> 42 |     return LEVELS[port]\n    43 | \n" in prompt
    assert "secret-project" not in prompt
    _, prompt = fails(kernel, "import json\njson.loads('{')")
    assert "in decode, line" in prompt
    assert "The source of decoder.py" not in prompt
    # What does not even compile, there.
    (folder / "broken.py").write_text("x = (\n")
    _, prompt = fails(kernel, "import broken")
    assert "The source of broken.py:\n```\n--> 1 | x = (" in prompt


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("raise KeyboardInterrupt", "the last cell was interrupted"),
        ("import asyncio\nraise asyncio.CancelledError", "the last cell was interrupted"),
        ("raise SystemExit", "the last cell asked to end the session"),
        ("%openrouter nonsense", "the last error was one of %openrouter itself, '"),
        ("from IPython.core.error import UsageError\nraise UsageError('of the user')", None),
        (
            "from orchat.jupyter.kernel.coroutine_runner import CellError\nraise CellError('x')",
            "%openrouter itself, 'x'",
        ),
    ],
)
def test_there_may_be_nothing_to_fix(kernel: Kernel, cell: str, why: str | None) -> None:
    kernel.run(cell)
    (looked,) = kernel.run(LOOK)
    if why is None:
        assert looked.status == "ok"
        return
    assert (looked.status, looked.content["ename"]) == ("error", "ConfigurationError")
    assert "There is nothing to fix: " in looked.content["evalue"]
    assert why in looked.content["evalue"]


def test_before_any_failure_there_is_none() -> None:
    with Kernel({}) as kernel:
        kernel.run(LOOK)
        assert kernel.value("failure") == "None"


def test_a_fence_in_the_source_does_not_end_the_fence() -> None:
    failure = ErrorContext(
        "E", (SourceLocation("In[3]", "s = '''````'''"),), (VariableContext(SentValue("s", "text", 1), "'```'"),)
    )
    assert "`````\ns = '''````'''\n`````" in failure.prompt()
    assert "````\ns = '```'\n````" in failure.prompt()
