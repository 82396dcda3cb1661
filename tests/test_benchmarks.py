"""The benchmarks in miniature: that they run, and print what they promise. No time is asserted."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.benchmarks import (
    calls,
    ceilings,
    cell_traffic,
    completion,
    fanout,
    interrupt,
    keeping,
    mcp_calls,
    restore,
    startup,
    stream,
)
from tests.benchmarks import map as map_benchmark
from tests.benchmarks import tools as tools_benchmark


def lines_of(module: str, *options: str) -> list[str]:
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stderr  # 1: a gate is missed, which is no failure of a test
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()


def test_stream_measures_everyone_that_is_installed() -> None:
    lines = lines_of("stream", "--tokens", "40", "--rounds", "1")
    ours = (stream.FLOOR, stream.PACKAGE_SYNC, stream.PACKAGE_ASYNC, stream.SYNC, stream.ASYNC)
    for name in (*ours, stream.OPENAI, stream.HAYSTACK_SYNC, stream.HAYSTACK_ASYNC):
        figures_of = [line for line in lines if re.fullmatch(rf"{re.escape(name)} +\d+\.\d\d +\d+\.\d\d", line)]
        assert len(figures_of) == len(stream.PER_CHUNK), name
    verdict = r"(gate|bare httpx2 \(goal) [\d.]+\): (goal reached|gate passed|GATE MISSED|GOAL MISSED)$"
    assert len([line for line in lines if re.search(verdict, line)]) == 6


def test_fanout_measures_ours_and_bare_httpx2() -> None:
    lines = lines_of("fanout", "--calls", "8", "--width", "4", "--rounds", "1")
    for name in (fanout.OURS, fanout.BARE):
        assert any(re.match(rf"{re.escape(name)} +\d+ +\d+\.\d{{3}} +\d+$", line) for line in lines), name
    assert re.match(r"[1-5] connections \(goal 80\): goal reached$", lines[-1])


def test_calls_measures_questions_chats_and_cells() -> None:
    lines = lines_of("calls", "--calls", "2", "--rounds", "1")
    for name in (calls.ASK, calls.CHAT, calls.CELL, calls.PLAIN):
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d\d +[01]$", line) for line in lines), name


def test_keeping_measures_chats_and_panels() -> None:
    lines = lines_of("keeping", "--messages", "8", "--pictures", "2")
    for name in (keeping.PLAIN, keeping.REASONING, keeping.PICTURES, keeping.HALF, keeping.DOUBLE, keeping.FORK):
        assert any(re.match(rf"{re.escape(name)} +\d+ +\d+\.\d\d", line) for line in lines), name


def test_startup_measures_each_step_in_a_fresh_process() -> None:
    lines = lines_of("startup", "--rounds", "1")
    for name in startup.STEPS:
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d{{3}} +-?\d+\.\d{{3}}  ", line) for line in lines), name
    assert any(line.startswith(f"{startup.EXTENSION} adds ") for line in lines)
    assert f"{startup.IMPORT} loads no heavy module: gate passed" in lines


def test_mcp_calls_measures_every_way_to_call() -> None:
    lines = lines_of("mcp_calls", "--calls", "3", "--rounds", "1")
    for name in (mcp_calls.SDK, mcp_calls.SYNC, mcp_calls.ASYNC):
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d\d +\d+\.\d\d$", line) for line in lines), name
    assert re.match(r"at most 1 ms more than the SDK \(-?\d+\.\d\d\): gate ", lines[-1])


def test_completion_presses_every_key() -> None:
    lines = lines_of("completion", "--rounds", "3")
    for name in completion.PRESSES:
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d\d +\d+\.\d\d$", line) for line in lines), name
    assert lines[-1].startswith("at most 50 ms: gate ")


@pytest.mark.parametrize("answer", ["whole, gzip bomb", "event, image below the limit", "list, 600 MB"])
def test_ceilings_measures_a_hostile_answer_in_every_way(answer: str) -> None:
    lines = lines_of("ceilings", "--only", answer)
    rows = [line for line in lines if re.match(rf"{answer} +\w+ +\d+\.\d +\d+\.\d\d +\d+  \w+", line)]
    assert len(rows) == len([name for name, _ in ceilings.cases() if name == answer]) == 2
    assert not any("CRASH" in row for row in rows)
    assert re.match(r"highest peak \d+\.\d MB over the start: gate of 64 MB \w+$", lines[-1])


def test_restore_measures_every_kind_of_notebook() -> None:
    lines = lines_of("restore", "--turns", "40")
    for name in restore.KINDS:
        assert any(re.match(rf"{name} +\d+\.\d\d +\d+\.\d\d +\d+\.\d$", line) for line in lines), name
    assert re.match(r"at most 2 s: (goal reached|GOAL MISSED)$", lines[-1])


def test_map_measures_every_way() -> None:
    lines = lines_of("map", "--rows", "20", "--rounds", "1", "--at-once", "4", "--wait", "0")
    for name in map_benchmark.ARMS:
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d{{3}} +\d+\.\d{{3}} +\d+$", line) for line in lines), name
    assert len([line for line in lines if re.search(r": goal (reached|MISSED)$", line)]) == len(map_benchmark.GOALS)


def test_tools_measures_every_step() -> None:
    lines = lines_of("tools", "--tools", "40", "--rounds", "1")
    for name in tools_benchmark.GATES:
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d{{3}} +\d+\.\d{{3}}  (gate|GATE) ", line) for line in lines), (
            name
        )


@pytest.mark.slow
def test_cell_traffic_counts_both_ways() -> None:
    lines = lines_of("cell_traffic", "--tokens", "60", "--rate", "60")
    for name in (cell_traffic.OURS, cell_traffic.NAIVE):
        (row,) = [line for line in lines if re.match(rf"{re.escape(name)} +\d+ ", line)]
        assert int(row.removeprefix(name).split()[0]) > 2
    assert lines[-1].endswith("gate passed")


@pytest.mark.slow
def test_interrupt_ends_every_cell() -> None:
    lines = lines_of("interrupt", "--rounds", "1")
    for name in interrupt.ARMS:
        assert any(re.match(rf"{re.escape(name)} +\d+\.\d{{3}} +\d+\.\d{{3}}$", line) for line in lines), name
    assert re.match(r"at most 0\.3 s: (goal reached|GOAL MISSED)$", lines[-1])


def figures(**changed: float) -> dict[str, float]:
    good = {"raw": 4.0, "sync": 9.0, "async_": 13.0, "haystack_sync": 120.0, "haystack_async": 150.0} | changed
    names = (stream.FLOOR, stream.SYNC, stream.ASYNC, stream.HAYSTACK_SYNC, stream.HAYSTACK_ASYNC)
    return dict(zip(names, good.values(), strict=True)) | {stream.PACKAGE_SYNC: 8.0, stream.PACKAGE_ASYNC: 9.0}


def test_the_verdict_names_goal_and_gate(capsys: pytest.CaptureFixture[str]) -> None:
    assert stream.report(figures())
    printed = capsys.readouterr().out
    assert f"{stream.SYNC}: 2.25 x raw (goal 2.5, gate 3.5): goal reached" in printed
    assert f"{stream.ASYNC}: 3.25 x raw (goal 2.5, gate 3.5): gate passed" in printed
    assert f"{stream.HAYSTACK_ASYNC}: 11.5 x ours (gate 10): gate passed" in printed


def test_with_a_chunk_for_each_event_the_package_is_the_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert not stream.report(figures(), per_chunk=1)
    printed = capsys.readouterr().out
    assert f"{stream.SYNC}: 2.25 x raw, 1.12 x bare httpx2 (goal 1.4): goal reached" in printed
    assert f"{stream.ASYNC}: 3.25 x raw, 1.44 x bare httpx2 (goal 1.4): GOAL MISSED" in printed


@pytest.mark.parametrize("missed", [{"sync": 15.0, "haystack_sync": 200.0}, {"async_": 14.1}, {"haystack_sync": 80.0}])
def test_a_missed_gate_is_not_passed(missed: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    assert not stream.report(figures(**missed))
    assert capsys.readouterr().out.count("GATE MISSED") == 1


def test_a_contender_that_loses_text_is_found_out() -> None:
    with pytest.raises(SystemExit, match="lossy read 3 characters"):
        stream.measure({"whole": lambda: "text", "lossy": lambda: "tex"}, 1, 1)
