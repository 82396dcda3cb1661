"""`%openrouter key`: what a key may spend; one is set that nobody sees, kept in a real keyring, and forgotten."""

from __future__ import annotations

import getpass
import os
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest
from IPython.core.error import StdinNotImplementedError

from orchat.errors import APIError, ConfigurationError
from orchat.jupyter.magic.key_command import key_command
from orchat.jupyter.magic.key_lookup import find_key, key_for_endpoint
from tests.jupyter.kernel import Kernel
from tests.openrouter_server import KEY_STATUS, ScriptedOpenRouter, error, reply_json
from tests.patience import PATIENCE

KEY = "sk-or-v1-fedcba9876543210fedcba9876543210"
OTHER = "sk-or-v1-00112233445566778899aabbccddeeff"
WORKS = "The key works.\nkey: sk-or-v1-0e6...1c9, from you\nlimit: $7.25 left of $10.00, starts anew monthly, next on "


class Memory(keyring.backend.KeyringBackend):
    """A keyring that forgets with the process."""

    priority = 1  # type: ignore[assignment]
    name = "Memory"  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def _open(self) -> dict[tuple[str, str], str]:
        if self.is_locked:
            raise keyring.errors.KeyringLocked(f"locked; it holds {KEY}")
        return self.kept

    def get_password(self, service: str, username: str) -> str | None:
        return self._open().get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self._open()[service, username]


@pytest.fixture
def memory() -> Iterator[Memory]:
    """A keyring."""
    before = keyring.get_keyring()
    memory = Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def _environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, openrouter: ScriptedOpenRouter
) -> Iterator[None]:
    """No key, the scripted OpenRouter, and a keyring that keeps nothing."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "")  # so that it is what it was, in the end
    monkeypatch.delenv("OPENROUTER_API_KEY")
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    monkeypatch.setenv("OPENAI_TIMEOUT", "5")
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


def typing(*texts: str) -> Callable[[str], str]:
    """Somebody who types, and may be asked so often."""
    left = list(texts)

    def answer(question: str) -> str:
        assert KEY not in question
        return left.pop(0)

    return answer


def never(question: str) -> str:
    """Fail, for nobody should be asked."""
    raise AssertionError(question)


def set_key(key: str = KEY, keep: str | None = None) -> str:
    """Set a key, and say whether to keep it."""
    return key_command(["set"], typing(key), never if keep is None else typing(keep))


# -- check ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["check"]])
def test_what_a_key_may_spend(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    openrouter.on("GET", "/credits").answers(reply_json({"data": {"total_credits": 10, "total_usage": 10.004}}))
    first, limit, *rest = key_command(words, never, never).splitlines()
    assert first == "key: sk-or-v1-0e6...1c9, from the environment variable OPENROUTER_API_KEY"
    assert limit.startswith("limit: $7.25 left of $10.00, starts anew monthly, next on 20")
    assert limit.endswith("-01 00:00 UTC")
    assert rest == [
        "spent: $25.50 in all",
        "credits: -$0.004 left in the account",
        "free tier: no",
        "expires: 2027-01-31 23:59 UTC",
    ]
    assert openrouter.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("change", "there", "not_there"),
    [
        ({"limit": None, "limit_remaining": None, "limit_reset": None}, "limit: none of its own\n", "starts anew"),
        ({"limit_reset": None}, "limit: $7.25 left of $10.00, never starts anew\n", ""),
        ({"limit_reset": "hourly\x1b[2J"}, "starts anew: hourly [2J\n", "\x1b"),
        ({"is_free_tier": True}, "free tier: yes: 50 requests a day to free models", ""),
        ({"limit_remaining": 0.00001234}, "limit: $0.0000123 left of", ""),
        ({"label": "x\x1b]0;title\x07\n" * 100}, "key: x ]0;title x ]0;title", "\x07"),
        ({"label": KEY}, "key: [redacted], from", KEY),
        ({"label": None, "usage": None, "expires_at": None, "is_free_tier": None}, "key: from the env", "spent"),
    ],
)
def test_what_is_not_said_is_left_out(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, change: Any, there: str, not_there: str
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    openrouter.on("GET", "/key").answers(reply_json({"data": KEY_STATUS | change}))
    openrouter.on("GET", "/credits").answers(error(403, "Only management keys can fetch credits"))
    told = key_command([])
    assert there in told
    assert not not_there or not_there not in told
    assert "credits:" not in told


def test_without_a_key_there_are_three_ways_on(monkeypatch: pytest.MonkeyPatch, openrouter: ScriptedOpenRouter) -> None:
    told = key_command([])
    assert told.startswith("There is no API key for 127.0.0.1:")
    assert "which may need none. Three ways on:\n  1. %openrouter key set asks for one; " in told
    assert "\n  2. ask the embedded model, `local/" in told
    assert "\n  3. or name another host with OPENROUTER_BASE_URL" in told
    monkeypatch.setenv("OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1")
    monkeypatch.setenv("OPENROUTER_API_KEY", "")  # which is how people switch one off
    assert key_command([]).startswith("There is no API key. Three ways on:\n")
    assert openrouter.requests == []


def test_a_key_that_is_refused_says_where_it_is_from(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    openrouter.on("GET", "/key").answers(error(401, f"User not found: {KEY}"), error(404, "?"), error(500, "x" * 9))
    with pytest.raises(ConfigurationError) as raised:
        key_command([])
    assert str(raised.value) == (
        "The key from the environment variable OPENROUTER_API_KEY was refused: "
        "HTTP 401: User not found: [redacted]. "
        "%openrouter key set asks for another."
    )
    assert "keeps no account of its keys." in key_command([])
    openrouter.on("GET", "/key").always(error(500, "Broken", headers={"Retry-After": "0.01"}))
    with pytest.raises(APIError, match="Broken"):
        key_command([])


# -- set and forget -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", [KEY, f"  {KEY}\n", f'"{KEY}"', f" '{KEY}' "])
def test_a_key_is_tried_and_set(openrouter: ScriptedOpenRouter, typed: str) -> None:
    told = set_key(typed)
    assert told.startswith(WORKS)
    assert told.endswith("\nOPENROUTER_API_KEY is set in this kernel.")
    assert os.environ["OPENROUTER_API_KEY"] == KEY
    assert openrouter.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in told


def test_a_key_that_is_refused_changes_nothing(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, memory: Memory
) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", OTHER)
    openrouter.on("GET", "/key").answers(error(401, f"No such key: {KEY}"))
    with pytest.raises(ConfigurationError, match="refused, and nothing has changed") as raised:
        set_key()
    assert (os.environ["OPENROUTER_API_KEY"], memory.kept) == (OTHER, {})
    check_hidden(raised.value)


def check_hidden(raised: BaseException | None) -> None:
    """No text, and no variable of a frame of ours, shows the key."""
    while raised is not None:
        assert KEY not in "".join(traceback.format_exception(raised))
        for frame, _ in traceback.walk_tb(raised.__traceback__):
            if "/orchat/" in frame.f_code.co_filename:
                assert KEY not in repr(frame.f_locals)
        raised = raised.__cause__ or raised.__context__


@pytest.mark.parametrize(
    ("url", "typed", "words"),
    [
        (None, "hunter2", "That does not look like a key."),
        (None, f"{KEY} {KEY}", "That does not look like a key."),
        (None, f"{KEY}\x16", "That does not look like a key."),
        (None, "schlüssel-des-hauses", "That does not look like a key."),
        ("https://openrouter.ai/api/v1", "sk-proj-0123456789abcdef", "That is no key of OpenRouter's"),
        ("https://openrouter.ai/api/v1", f"OPENROUTER_API_KEY={KEY}", "That is no key of OpenRouter's"),
    ],
)
def test_what_is_no_key_is_not_sent(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, url: str | None, typed: str, words: str
) -> None:
    if url:
        monkeypatch.setenv("OPENROUTER_BASE_URL", url)
    with pytest.raises(ConfigurationError, match=words) as raised:
        set_key(typed)
    assert typed not in str(raised.value)
    check_hidden(raised.value)
    assert ("OPENROUTER_API_KEY" in os.environ, openrouter.requests) == (False, [])


def test_typing_nothing_changes_nothing(openrouter: ScriptedOpenRouter) -> None:
    assert set_key("  ") == "Nothing was typed, and nothing has changed."
    assert openrouter.requests == []


def test_where_it_cannot_be_tried_it_is_set_all_the_same(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    openrouter.on("GET", "/key").answers(error(404, "Not here"))
    assert "keeps no account of its keys, so that this one was not tried.\nOPENROUTER_API_KEY is set" in set_key()
    monkeypatch.setenv("OPENROUTER_BASE_URL", "http://127.0.0.1:9/v1")
    assert set_key(OTHER).startswith("The key could not be tried: ")
    assert os.environ["OPENROUTER_API_KEY"] == OTHER


@pytest.mark.parametrize("error", [EOFError(), StdinNotImplementedError("no"), NotImplementedError()], ids=repr)
def test_where_nobody_can_be_asked(error: Exception) -> None:
    def ask(question: str) -> str:
        raise error

    with pytest.raises(ConfigurationError, match="Nobody can be asked for a key here"):
        key_command(["set"], ask, never)


def test_a_prompt_that_would_show_the_key_is_not_answered() -> None:
    def ask(question: str) -> str:
        warnings.warn("Can not control echo on the terminal.", getpass.GetPassWarning, stacklevel=2)
        raise AssertionError("it was read")

    with pytest.raises(ConfigurationError, match="Nobody can be asked"):
        key_command(["set"], ask, never)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", KEY], "%openrouter key set takes nothing more. Never write a key in a cell"),
        ([KEY, "x"], "%openrouter key ... takes nothing more. Never"),
        ([KEY], "There is no `key ...`. There are check, set, forget."),
        (["sett"], "There is no `key sett`. Did you mean set?"),
    ],
)
def test_a_key_on_the_line_is_not_repeated(words: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        key_command(words, never, never)
    assert str(raised.value).startswith(said)
    assert KEY not in str(raised.value)


def test_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_command(["forget"]) == "There was no key to forget."
    set_key()
    assert key_command(["forget"]) == (
        "OPENROUTER_API_KEY is taken out of this kernel; what sets it elsewhere will set it again."
    )
    assert "OPENROUTER_API_KEY" not in os.environ


# -- keyrings -------------------------------------------------------------------------------------------------------


def test_a_key_is_kept_where_the_user_wants_it(openrouter: ScriptedOpenRouter, memory: Memory) -> None:
    assert set_key(keep="").endswith("is set in this kernel.")
    assert set_key(keep="no").endswith("is set in this kernel.")
    assert memory.kept == {}
    told = set_key(keep=" Y ")
    assert told.endswith("OPENROUTER_API_KEY is set in this kernel, and kept in the keyring (Memory).")
    host = openrouter.base_url.removeprefix("http://").partition("/")[0]
    assert memory.kept == {("orchat", host): KEY}
    del os.environ["OPENROUTER_API_KEY"]  # the next session
    assert find_key(openrouter.base_url) == KEY
    assert "from the keyring (Memory)\n" in key_command([])
    assert openrouter.request.headers["authorization"] == f"Bearer {KEY}"
    # It is for that host, and for no other.
    assert find_key() is None
    assert find_key("https://openrouter.ai/api/v1") is None
    os.environ["OPENROUTER_API_KEY"] = OTHER
    assert key_command(["forget"]) == (
        "OPENROUTER_API_KEY is taken out of this kernel; what sets it elsewhere will set it again.\n"
        "The key is taken out of the keyring (Memory)."
    )
    assert memory.kept == {}


def test_the_environment_comes_first(openrouter: ScriptedOpenRouter, memory: Memory) -> None:
    set_key(keep="y")
    os.environ["OPENROUTER_API_KEY"] = OTHER
    found = key_for_endpoint(openrouter.base_url)
    assert found is not None
    assert (found.key.resolve_value(), found.source) == (OTHER, "the environment variable OPENROUTER_API_KEY")
    assert OTHER not in repr(found)


def test_a_keyring_that_is_locked_holds_no_key(openrouter: ScriptedOpenRouter, memory: Memory) -> None:
    set_key(keep="y")
    memory.is_locked = True
    del os.environ["OPENROUTER_API_KEY"]
    assert find_key(openrouter.base_url) is None
    assert key_command([]).startswith("There is no API key")
    told = set_key(keep="y")
    assert told.endswith("is set in this kernel, and the keyring (Memory) did not take it (KeyringLocked).")
    assert KEY not in told
    assert key_command(["forget"]).startswith("OPENROUTER_API_KEY is taken out")


def test_a_keyring_that_keeps_nothing_is_not_offered() -> None:
    keyring.set_keyring(keyring.backends.null.Keyring())
    assert set_key().endswith("is set in this kernel.")


def test_a_keyring_is_not_offered_where_nobody_answers(memory: Memory) -> None:
    def read(question: str) -> str:
        raise EOFError

    assert key_command(["set"], typing(KEY), read).endswith("is set in this kernel.")


def test_colabs_secrets_are_found_for_openrouter_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, openrouter: ScriptedOpenRouter
) -> None:
    package = tmp_path / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "userdata.py").write_text(f"def get(name):\n    return {{'OPENROUTER_API_KEY': {KEY!r}}}[name]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("google", "google.colab", "google.colab.userdata"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))  # so that what is imported here goes again
        del sys.modules[name]
    assert find_key() is None  # this is not Colab
    import google.colab  # type: ignore[import-not-found]

    assert find_key() == KEY
    assert find_key(openrouter.base_url) is None
    found = key_for_endpoint("https://openrouter.ai/api/v1")
    assert found is not None
    assert found.source == "Colab's secret OPENROUTER_API_KEY"
    (package / "userdata.py").write_text("def get(name):\n    raise KeyError(name)\n")
    del sys.modules["google.colab.userdata"], google.colab.userdata
    assert find_key() is None


# -- in a kernel ----------------------------------------------------------------------------------------------------


def answered(kernel: Kernel, cell: str, *answers: str) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """Run a cell that asks; its reply, all that it showed, and how it asked."""
    client = kernel._client
    running = client.execute(cell)
    asked = []
    for text in answers:
        asked.append(client.get_stdin_msg(timeout=PATIENCE)["content"])
        client.input(text)
    reply = client.get_shell_msg(timeout=PATIENCE)
    assert reply["parent_header"]["msg_id"] == running
    shown = []
    while (message := client.get_iopub_msg(timeout=PATIENCE))["content"].get("execution_state") != "idle" or (
        message["parent_header"].get("msg_id") != running
    ):
        shown.append(message["content"])
    return reply["content"], "".join(each.get("text") or str(each) for each in shown), asked


@pytest.mark.slow
def test_in_a_kernel_the_prompt_hides_it_and_nothing_shows_it(openrouter: ScriptedOpenRouter) -> None:
    with Kernel({"OPENROUTER_BASE_URL": openrouter.base_url}) as kernel:
        kernel.run(
            "import keyring, os\nfrom tests.jupyter.test_key_command import Memory\nkeyring.set_keyring(Memory())"
        )
        kernel.run("from orchat.jupyter.magic.key_command import key_command")
        reply, shown, asked = answered(kernel, "print(key_command(['set']))", KEY, "y")
        assert reply["status"] == "ok", reply
        host = openrouter.base_url.removeprefix("http://").partition("/")[0]
        assert asked == [
            {"prompt": f"Key for {host} (it is not shown): ", "password": True},
            {"prompt": "Keep it in the keyring (Memory) for later sessions as well? [y/N] ", "password": False},
        ]
        assert WORKS in shown
        assert "and kept in the keyring (Memory)." in shown
        assert KEY not in shown
        kernel.run("past = list(get_ipython().history_manager.get_tail(9))")
        assert KEY not in kernel.value("(In, Out, past, {k: v for k, v in globals().items() if k != 'os'})")
        # In two pieces, for what is run here is history, too.
        assert kernel.value(f"os.environ['OPENROUTER_API_KEY'] == {KEY[:9]!r} + {KEY[9:]!r}") == "True"
        # A key that is refused ends the cell as an error, which does not show it either.
        openrouter.on("GET", "/key").answers(error(401, f"No such key: {OTHER}"))
        reply, shown, _ = answered(kernel, "print(key_command(['set']))", OTHER)
        assert (reply["status"], reply["ename"]) == ("error", "ConfigurationError")
        assert "refused" in reply["evalue"]
        assert OTHER not in str(reply) + shown
        _, shown, _ = answered(kernel, "print(key_command(['forget']))")
        assert shown.count("taken out") == 2
        assert kernel.value("'OPENROUTER_API_KEY' in os.environ") == "False"
