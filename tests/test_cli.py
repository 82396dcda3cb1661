"""The command line as a shell sees it: what goes to stdout, what to stderr, and the exit code."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import warnings
from decimal import Decimal
from pathlib import Path

import pytest

from orchat import cli
from orchat._version import __version__
from orchat.answer_store import SqliteAnswerStore, StoredAnswer
from orchat.chat.money import Cost
from orchat.default_factories import open_store, session_budget
from orchat.messages import ChatMessage
from tests.openrouter_server import ScriptedOpenRouter, done, error, error_event, event, finish, hold, stream, text
from tests.patience import PATIENCE

KEY = "sk-or-v1-0123456789abcdef"
ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals are those of POSIX here")
ORCHAT = [sys.executable, "-m", "orchat.cli"]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test sets counts."""
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_BASE_URL", "ORCHAT_MODEL", "ORCHAT_LOCAL_URL", "ORCHAT_LOCAL_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)  # for the processes that a test starts


@pytest.fixture
def service(openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> ScriptedOpenRouter:
    """A scripted OpenRouter that the environment names, in a session that has spent nothing."""
    monkeypatch.setattr(session_budget(), "spent", Cost())
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    return openrouter


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"orchat {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        (["dmeo"], "no command is called `dmeo`. Did you mean `orchat demo`?"),
        (["local", "donwload"], "no command is called `donwload`. Did you mean `orchat local download`?"),
        (["zzz"], "no command is called `zzz`."),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_a_wrong_command(typed: list[str], proposed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(typed)
    assert ended.value.code == 2
    assert capsys.readouterr().err.rstrip().endswith(proposed)


def test_ask_streams_to_stdout(service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    service.answers(text("Two rivers:\nHull and Humber."))
    assert cli.main(["ask", "Name two.", "-m", "vendor/model", "-s", "Be brief.", "-t", "0.5"]) == 0
    assert capsys.readouterr() == ("Two rivers:\nHull and Humber.\n", "")
    sent = service.request.json
    assert [(message["role"], message["content"]) for message in sent["messages"]] == [
        ("system", "Be brief."),
        ("user", "Name two."),
    ]
    assert (sent["model"], sent["temperature"], sent["stream"]) == ("vendor/model", 0.5, True)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("0", "may cost $0."),
        ("0.0001", "and $0.0001 of $0.0001 is left. Raise max_cost"),
        ("much", "orchat: ORCHAT_MAX_COST='much' makes no sense. It is an amount of USD, such as 0.50."),
    ],
)
def test_ask_keeps_to_the_limit_of_cost(
    service: ScriptedOpenRouter,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
    said: str,
) -> None:
    monkeypatch.setenv("ORCHAT_MAX_COST", limit)
    assert cli.main(["ask", "Name two.", "-m", "openai/gpt-4o-mini"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not [each for each in service.requests if each.path.endswith("/chat/completions")]


def test_ask_within_the_limit_of_cost_is_answered(
    service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers(text("Hull."))
    monkeypatch.setenv("ORCHAT_MAX_COST", "0.50")
    assert cli.main(["ask", "Name one.", "-m", "openai/gpt-4o-mini"]) == 0
    assert capsys.readouterr() == ("Hull.\n", "")


def test_a_secret_in_the_question_is_named_and_stays_behind(
    service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = "connecting to postgres://ada:hunter2xyz@db\nfailed"
    service.answers(text("Hm."), text("Hm."))
    monkeypatch.setattr(sys, "stdin", io.StringIO(log))
    assert cli.main(["ask", "-", "-m", "vendor/model", "-s", "My password: q7Zx0pT2mB9v!"]) == 0
    assert [message["content"] for message in service.request.json["messages"]] == [
        "My password: [redacted]!",
        "connecting to postgres://[redacted]@db\nfailed",
    ]
    assert capsys.readouterr().err == (
        "orchat: that looks like the password of an address: it goes out as [redacted]; --allow-secrets sends it\n"
        "orchat: that looks like the value of password: it goes out as [redacted]; --allow-secrets sends it\n"
    )
    assert cli.main(["ask", log, "-m", "vendor/model", "--allow-secrets"]) == 0
    assert service.request.json["messages"][0]["content"] == log
    assert capsys.readouterr().err == ""


def test_what_is_no_text_of_an_answer_is_told_on_stderr(
    service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]
) -> None:
    service.answers(stream(event(None, refusal="I cannot "), event(None, refusal="help."), finish(), done()))
    assert cli.main(["ask", "Help me."]) == 0
    assert capsys.readouterr() == ("", "orchat: The model refused: I cannot help.\n")


def test_ask_shows_the_answer_while_it_comes(service: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    service.answers(stream(event("Hull"), hold(gate), event(" and Humber"), finish("stop"), done()))
    with subprocess.Popen([*ORCHAT, "ask", "Two rivers?"], stdout=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        assert asking.stdout.read(4) == b"Hull"
        gate.set()
        assert asking.stdout.read().decode() == f" and Humber{os.linesep}"
    assert asking.returncode == 0


@pytest.mark.parametrize("arguments", [["ask"], ["ask", "-"]])
def test_ask_reads_a_pipe(arguments: list[str], service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Which river\nflows past Hull?\n"))
    assert cli.main(arguments) == 0
    assert service.request.json["messages"][-1]["content"] == "Which river\nflows past Hull?\n"


def test_an_empty_pipe_asks_nothing(
    service: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert cli.main(["ask"]) == 1
    assert capsys.readouterr() == ("", "orchat: The question is empty.\n")
    assert service.requests == []


def test_no_key_names_the_ways_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ask", "Hi"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "OPENROUTER_API_KEY" in err
    assert "local/smollm2-135m-instruct" in err


def test_an_error_is_one_line(service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    service.answers(error(401, f"No auth\ncredentials \x1b[2Jfor {KEY}"))
    assert cli.main(["ask", "Hi"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("orchat: ")
    assert err.count("\n") == 1
    assert KEY not in err
    assert "\x1b" not in err


def test_a_retry_is_told_on_stderr(service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    service.answers(error(503, "busy", headers={"Retry-After": "0.1"}), text("Hull."))
    assert cli.main(["ask", "Hi"]) == 0
    told = "orchat: Retrying in 0.1 s (2 of 6): HTTP 503: busy.\n"
    assert capsys.readouterr() == ("Hull.\n", told)


def test_what_came_before_an_error_stays(service: ScriptedOpenRouter, capsys: pytest.CaptureFixture[str]) -> None:
    service.answers(stream(event("Half an"), error_event("Upstream fell over.", 502)))
    assert cli.main(["ask", "Hi"]) == 1
    out, err = capsys.readouterr()
    assert out == "Half an\n"
    assert "Upstream fell over." in err


@posix
def test_ctrl_c_keeps_what_came(service: ScriptedOpenRouter) -> None:
    service.answers(stream(event("Half an"), hold(threading.Event())))
    with subprocess.Popen([*ORCHAT, "ask", "Hi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        assert asking.stdout.read(7) == b"Half an"
        asking.send_signal(signal.SIGINT)
        assert asking.communicate(timeout=PATIENCE) == (b"\n", b"")
    assert asking.returncode == 130


@posix
def test_a_reader_that_leaves_is_no_error(service: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    service.answers(stream(event("one\n"), hold(gate), event("two\n"), finish("stop"), done()))
    with subprocess.Popen([*ORCHAT, "ask", "Hi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        assert asking.stdout.read(4) == b"one\n"
        asking.stdout.close()
        gate.set()
        assert asking.stderr.read() == b""
    assert asking.returncode == 141


@posix
def test_an_answer_cannot_steer_the_terminal(service: ScriptedOpenRouter) -> None:
    service.always(text("\x1b]0;owned\x07ok \x9b2J\u20ac\n"))
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen([*ORCHAT, "ask", "Hi"], stdout=theirs) as asking:
        os.close(theirs)
        assert asking.wait(PATIENCE) == 0
    assert os.read(ours, 1000).decode() == "]0;ownedok 2J\u20ac\r\n"
    os.close(ours)
    piped = subprocess.run([*ORCHAT, "ask", "Hi"], stdout=subprocess.PIPE, check=True)
    assert piped.stdout.decode() == "\x1b]0;owned\x07ok \x9b2J\u20ac\n"  # a file gets the answer as it is


def test_an_answer_that_the_output_cannot_encode(service: ScriptedOpenRouter) -> None:
    service.answers(text("5 \u20ac"))
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    piped = subprocess.run([*ORCHAT, "ask", "Hi"], stdout=subprocess.PIPE, env=environment, check=True)
    assert piped.stdout == b"5 \\u20ac\n"


@pytest.mark.slow
def test_the_embedded_model_answers_with_a_stamp(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ask", "Say hello.", "-m", "local/smollm2-135m-instruct", "-t", "0"]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"\w", out)
    assert re.fullmatch(r"\[.*demo model, often wrong.*\]\n", err)


@posix
@pytest.mark.slow
def test_an_interrupted_answer_of_the_embedded_model_has_its_stamp_too(weights: Path) -> None:
    command = [*ORCHAT, "ask", "Count to a thousand.", "-m", "local/smollm2-135m-instruct"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as asking:
        assert asking.stdout is not None
        assert asking.stdout.read(1)
        asking.send_signal(signal.SIGINT)
        _, err = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, err) == (130, b"[demo model, often wrong]\n")


def test_local_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "mine.gguf"
    model.write_bytes(b"GGUF")
    monkeypatch.setenv("ORCHAT_LOCAL_MODEL", str(model))
    assert cli.main(["local", "status"]) == 0
    assert capsys.readouterr().out == f"runtime: installed\nweights: {model}\n"
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    assert cli.main(["local", "status"]) == 1
    assert 'missing (`pip install "orchat-jupyter[local]"`)' in capsys.readouterr().out


@pytest.mark.slow
def test_local_download_says_where_the_weights_are(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["local", "download"]) == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes()[:4] == b"GGUF"


def test_the_store_is_listed_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "answers.sqlite"
    monkeypatch.setenv("ORCHAT_STORE", str(path))
    with contextlib.closing(SqliteAnswerStore(path)) as store:
        for number, model in enumerate(["vendor/m", "vendor/m", "vendor/\x1b[31mn"]):
            message = ChatMessage.from_assistant("Yes.")
            cost = Decimal("0.1") if model == "vendor/m" else None
            store.put(b"%d" % number, StoredAnswer.of(message, host="a.example", model=model, cost=cost))
    assert cli.main(["store"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{re.escape(str(path))}: 3 answers, [\d,]+ bytes", first)
    day = r"\d{4}-\d\d-\d\d"
    assert any(re.fullmatch(rf"vendor/m at a\.example: 2, \$0\.2, {day} to {day}", line) for line in rest)
    assert any("1, $0 and 1 unknown bills" in line and "\x1b" not in line for line in rest)
    assert cli.main(["store", "clear", "--older-than", "1"]) == 0
    assert cli.main(["store", "clear", "-m", "vendor/m"]) == 0
    assert cli.main(["store", "clear", "--file", str(path)]) == 0
    counts = [line.split(" ", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert counts == ["0", "2", "1"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["clear", "--older-than", "-3"], "--older-than -3 is no age. Give a number of days, such as 30."),
        (["clear", "--older-than", "nan"], "--older-than nan is no age. Give a number of days, such as 30."),
        (["clear", "--older-than", "1e300"], "--older-than 1e+300 is no age. Give a number of days, such as 30."),
        (["clear", "--older-than", "1e6"], "--older-than 1e+06 is no age. Give a number of days, such as 30."),
        (["--older-than", "3"], "--model and --older-than choose what is deleted; a list has all. Leave them out, or "),
        (["--file", "answers.sqlit"], "There is no store at answers.sqlit. Is the name behind --file right?"),
        (["clear", "--file", "answers.sqlit"], "There is no store at answers.sqlit. Is the name behind --file right?"),
    ],
)
def test_a_mistake_about_the_store_is_told_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHAT_STORE", "answers.sqlite")
    with contextlib.closing(SqliteAnswerStore("answers.sqlite")) as store:
        message = ChatMessage.from_assistant("Yes.")
        store.put(b"1", StoredAnswer.of(message, host="a.example", model="vendor/m", cost=None))
    assert cli.main(["store", *options]) == 1
    assert capsys.readouterr().err.startswith(f"orchat: {told}")
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"answers.sqlite"}
    with contextlib.closing(SqliteAnswerStore("answers.sqlite")) as store:
        assert store.get(b"1") is not None


def test_a_warning_is_one_line_without_a_place_in_the_code(
    service: ScriptedOpenRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.always(text("Yes."))
    (tmp_path / "rows.csv").write_text("a\n1\n2\n")
    command = ["map", str(tmp_path / "rows.csv"), "-p", "How are you?", "-o", str(tmp_path / "out.csv")]
    command += ["--store", str(tmp_path / "answers.sqlite")]
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(command) == 0
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == "orchat: The prompt names no column, so that it is the same for every row: it is asked once."
    assert [line for line in rest if "names no column" in line or "UserWarning" in line] == []


@pytest.mark.parametrize("schema", ["", " ,, "])
def test_a_schema_without_a_label_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], schema: str) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    command = ["map", str(tmp_path / "rows.csv"), "-p", "{a}", "-o", str(tmp_path / "out.csv"), "--schema", schema]
    assert cli.main(command) == 1
    assert capsys.readouterr().err == f"orchat: --schema {schema!r} holds no label. Such as --schema good,bad.\n"


def test_a_store_has_the_limit_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_STORE_LIMIT", "300000")
    store = open_store(tmp_path / "answers.sqlite")
    assert store is not None
    with contextlib.closing(store):
        for number in range(60):
            message = ChatMessage.from_assistant("x" * 10_000)
            store.put(b"%d" % number, StoredAnswer.of(message, host="a.example", model="vendor/m", cost=None))
            if number % 10 == 9:
                store.flush()
        assert store.get(b"59") is not None
        assert store.get(b"0") is None


def test_a_store_that_is_switched_off_or_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORCHAT_STORE", "none")
    assert cli.main(["store"]) == 1
    (tmp_path / "notes.txt").write_text("These are notes, and no database. " * 100)
    assert cli.main(["store", "--file", str(tmp_path / "notes.txt")]) == 1
    off, other = capsys.readouterr().err.splitlines()
    assert "No answers are kept" in off
    assert "notes.txt" in other
