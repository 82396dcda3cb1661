"""What is set by ``%config``, by files and by the environment: who reads it, and what a wrong value does."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.configuration import SETTINGS, configure, effective_setting
from orchat.errors import ConfigurationError
from orchat.jupyter.magic.configurable_traits import ConfigurableTraits, read_config_files
from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import ROOT, Kernel
from tests.jupyter.test_magic_options import ask
from tests.openrouter_server import ScriptedOpenRouter

pytestmark = pytest.mark.slow

FILE = "ipython_config.py"


def written(folder: Path, *lines: str) -> Path:
    """A configuration file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("\n".join(["c = get_config()", *(f"c.OpenRouterMagics.{line}" for line in lines)]))
    return folder


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for each in SETTINGS.values():
        if each.variable:
            monkeypatch.delenv(each.variable, raising=False)
    yield
    for name in SETTINGS:
        configure(name, None)


# -- files, where no IPython runs ---------------------------------------------------------------------------------


def test_every_setting_is_a_trait() -> None:
    assert set(ConfigurableTraits.class_own_traits(config=True)) == set(SETTINGS)
    assert all(trait.help for trait in ConfigurableTraits.class_own_traits(config=True).values())


def test_the_more_important_file_wins_setting_by_setting(tmp_path: Path) -> None:
    user = written(tmp_path / "user", "model = 'v/mine'", "zdr = True")
    hub = written(tmp_path / "hub", "model = 'v/theirs'", "max_cost = 0.5", "aliases = {'fast': 'v/small'}")
    read_config_files([str(user), str(tmp_path / "nowhere"), str(hub)])
    assert effective_setting("model") == ("v/mine", FILE)
    assert (effective_setting("zdr").value, str(effective_setting("max_cost").value)) == (True, "0.5")
    assert effective_setting("aliases").value == {"fast": "v/small"}
    assert effective_setting("footer") == ("full", "default")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("footer = 'short'", "footer='short' makes no sense"),
        ("max_cost = 'much'", "expected a float"),
        ("max_cost = -1.0", "It is an amount of USD"),
        ("max_tokens = 0", "It is a whole number, 1 or more"),
        ("history_tokens = -1", "It is a whole number, 0 or more"),
        ("state = 'cloud'", "state='cloud' makes no sense. It is one of cell, file, none."),
        ("state_limit = 0", "It is a whole number, 1 or more"),
        ("zdr = 'perhaps'", "expected a boolean"),
        ("aliases = {'a': 1}", "It is a dict of names"),
        ("limits = {'image': 1}", "There is no limit 'image'. There are error_bytes, "),
        ("limits = {'images': 0}", "images=0 is no limit"),
        ("model = ''", "It is a text"),
        ("model = undefined", "cannot be run: NameError"),
        ("model = (", "cannot be run: SyntaxError"),
    ],
)
def test_a_wrong_value_names_its_file(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_config_files([str(written(tmp_path / "user", line))])
    assert str(raised.value).startswith(str(tmp_path / "user" / FILE))
    assert words in str(raised.value)


# -- in a kernel --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("footer = 'short'", "footer='short' makes no sense. It is one of full, model, none."),
        ("max_cost = '1'", "expected a float, not the str '1'"),
        ("max_cost = -1", "It is an amount of USD, such as 0.50."),
        ("max_tokens = 0", "It is a whole number, 1 or more."),
        ("state = 'cells'", "It is one of cell, file, none."),
        ("state_limit = '1 MB'", "expected an int, not the str '1 MB'"),
        ("fotter = 'none'", "Did you mean `footer`?"),
    ],
)
def test_a_wrong_value_is_told_and_changes_nothing(kernel: Kernel, code: str, words: str) -> None:
    before = ask(kernel, "%openrouter params").printed
    (cell,) = kernel.run(f"%config OpenRouterMagics.{code}")
    assert words in cell.printed
    assert len(cell.printed) < 400
    assert ask(kernel, "%openrouter params").printed == before


def test_what_is_set_holds_and_is_shown_with_its_source(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(kernel, "%config OpenRouterMagics.aliases = {'fast': 'vendor/small'}")
    ask(kernel, "%config OpenRouterMagics.model = 'fast'\n%config OpenRouterMagics.max_tokens = 70")
    ask(kernel, "%config OpenRouterMagics.footer = 'model'")
    address = endpoint.base_url.replace("http://", "http://me:hunter2@")
    ask(kernel, f"%config OpenRouterMagics.base_url = {address!r}")
    try:
        params = ask(kernel, "%openrouter params").printed
        assert "model            fast " in params
        port = endpoint.base_url.split(":")[2].partition("/")[0]
        assert params.startswith(f"vendor/small answers at 127.0.0.1:{port}.\n")
        assert "max_tokens       70 " in params
        assert params.count("%config") == 6  # five values, and how to change one
        assert "hunter2" not in params
        ask(kernel, "%config OpenRouterMagics.base_url = None")
        cell = ask(kernel, "%%openrouter --no-history\nHi")
        assert (endpoint.request.json["model"], endpoint.request.json["max_tokens"]) == ("vendor/small", 70)
        assert cell.bundles[-1]["text/plain"].splitlines()[-1] == "vendor/some-model-20260301"
        ask(kernel, "%%openrouter -m other/model -n 5 --no-history\nHi")
        assert (endpoint.request.json["model"], endpoint.request.json["max_tokens"]) == ("other/model", 5)
        # A chat of Python's asks the same model.
        ask(kernel, "from orchat import Chat\nreply = Chat()('Hi')")
        assert endpoint.request.json["model"] == "vendor/small"
    finally:
        for name in ("aliases", "model", "max_tokens", "footer", "base_url"):
            ask(kernel, f"%config OpenRouterMagics.{name} = None")
    assert ask(kernel, "%openrouter params").printed.count("%config") == 1


def test_an_alias_is_made_shown_and_taken_away(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    assert ask(kernel, "%openrouter alias fast vendor/small").printed == "fast -> vendor/small\n"
    ask(kernel, "%%openrouter fast --no-history\nHi")
    assert endpoint.request.json["model"] == "vendor/small"
    assert ask(kernel, "%openrouter alias").printed == "fast -> vendor/small\n"
    assert ask(kernel, "%openrouter alias fast -").printed == "No such alias.\n"
    assert ask(kernel, "%openrouter alias").printed == "No such alias.\n"
    (wrong,) = kernel.run("%openrouter alias a b c")
    assert wrong.content["traceback"] == ["openrouter: An alias is one word. %openrouter alias NAME MODEL"]


def test_a_wrong_file_is_one_line_and_nothing_is_asked(endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    written(tmp_path / "profile_default", "zdr = True", "max_cost = 'much'")
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY, "IPYTHONDIR": str(tmp_path)}
    with Kernel(environment) as kernel:
        (cell,) = kernel.run("%load_ext orchat")
        (line,) = cell.content["traceback"]
        assert line.startswith(f"openrouter: {FILE}: The 'max_cost' trait")
        (cell,) = kernel.run("%%openrouter\nHi")
        assert cell.status == "error"
        written(tmp_path / "profile_default", "max_cost = 1")
        assert kernel.value("__import__('orchat.configuration').configuration.setting('zdr')") == "None"


@pytest.fixture
def environment(endpoint: ScriptedOpenRouter, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """An environment of Python with a configuration file of its own, and the variables for a process in it."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True, timeout=300)
    python = folder / "bin" / "python"
    written(folder / "etc" / "ipython", "model = 'hub/model'", "max_tokens = 60")
    written(tmp_path / "ipython" / "profile_default", "model = 'my/model'")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENROUTER_", "ORCHAT_"))}
    return python, {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
    }


def test_the_command_line_reads_the_users_file_and_the_environments(
    environment: tuple[Path, dict[str, str]], endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    python, variables = environment
    command = [python, "-m", "orchat.cli", "ask", "Hi"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (endpoint.request.json["model"], endpoint.request.json["max_tokens"]) == ("my/model", 60)
    written(tmp_path / "ipython" / "profile_default", "footer = 'short'")
    asked = len(endpoint.requests)
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"orchat: {tmp_path}/ipython/profile_default/{FILE}: footer='short' makes no sense.")
    assert done.stderr.count("\n") == 1
    assert len(endpoint.requests) == asked


def test_ipython_reads_the_users_file_and_the_environments(environment: tuple[Path, dict[str, str]]) -> None:
    python, variables = environment
    code = "get_ipython().run_line_magic('load_ext', 'orchat'); get_ipython().run_line_magic('openrouter', 'params')"
    command = [python, "-m", "IPython", "--colors=NoColor", "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    rows = {words[0]: words[1:] for line in done.stdout.splitlines() if len(words := line.split()) == 3}
    assert rows["model"] == ["my/model", FILE]
    assert rows["max_tokens"] == ["60", FILE]
    assert rows["base_url"][1] == "OPENROUTER_BASE_URL"
    assert KEY not in done.stdout + done.stderr
