"""``orchat map``: a file's rows with their answers in another file, batch by batch."""

from __future__ import annotations

import csv
import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchat import cli
from orchat.errors import BudgetExceededError, ConfigurationError
from orchat.mapping.file_map import map_file
from tests.mapping.conftest import question_of, questions
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, error, text

ROWS: list[dict[str, Any]] = [
    {"id": "1", "text": "a good, long one", "cost": "5"},
    {"id": "2", "text": 'a "bad" one\nof two lines', "cost": "6"},
    {"id": "3", "text": "größer als 😀", "cost": "7"},
]


def tone(request: Request) -> Answer:
    return text(json.dumps({"answer": "bad" if "bad" in question_of(request) else "good"}))


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return [*csv.DictReader(file)]
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("ending", [".csv", ".jsonl", ".parquet"])
def test_a_file_becomes_another_one(
    service: ScriptedOpenRouter, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.always(tone)
    source, target = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    write(source, ROWS)
    command = ["map", str(source), "-p", "Tone of {text}", "--schema", "good,bad", "-o", str(target), "-s", "Briefly."]
    assert cli.main([*command, "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("3 rows: 3 requests; about")
    assert not target.exists()
    assert cli.main(command) == 0
    assert capsys.readouterr().err == f"orchat: {target}: 3 rows for $0.00012\n"
    rows = read(target)
    assert [{name: row[name] for name in ROWS[0]} for row in rows] == ROWS
    assert [row["answer"] for row in rows] == ["good", "bad", "good"]
    assert [float(row["answer_cost"]) for row in rows] == [0.00004] * 3  # the source has a column `cost`
    assert rows[0]["finish_reason"] == "stop"
    assert service.request.json["messages"][0]["content"] == "Briefly."
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith("unfinished")] == []


@pytest.mark.parametrize(
    ("first", "delimiter", "given"),
    [
        ("id;text", ";", None),
        ("id\ttext", "\t", None),
        ("id|text", "|", None),
        ('"id";text;"a, b|c"', ";", None),
        ("id,text", ",", None),
        ("id,a;b,text", ",", None),
        ("id;a|b;text", ";", ";"),
        ("id,a;text", ";", ";"),
        ("id\ttext", "\t", r"\t"),
        ("text", ",", None),
    ],
)
def test_the_first_line_of_a_csv_file_tells_what_separates_its_columns(
    service: ScriptedOpenRouter, tmp_path: Path, first: str, delimiter: str, given: str | None
) -> None:
    service.always(lambda request: text(question_of(request)))
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    names = next(csv.reader([first], delimiter=delimiter))
    cells = [f"{name}, 7" for name in names]
    with source.open("w", encoding="utf-8-sig", newline="") as file:
        file.write(f"{first}\n")
        csv.writer(file, delimiter=delimiter).writerow(cells)
    command = ["map", str(source), "-p", "{text}", "-o", str(target), *(["--delimiter", given] if given else [])]
    assert cli.main(command) == 0
    with target.open(encoding="utf-8", newline="") as file:
        [row] = csv.DictReader(file, delimiter=delimiter)  # what the source has
    assert row["answer"] == "text, 7"
    assert [row[name] for name in names] == cells


@pytest.mark.parametrize(
    ("first", "options", "says"),
    [
        ("id;a|text", [], "whether ';' or '|' separates its columns. Say so, such as --delimiter ';'"),
        ("id;text", ["--delimiter", ";;"], "--delimiter ';;' is no single sign"),
    ],
)
def test_what_separates_columns_is_asked_for_before_anything_is_sent(
    service: ScriptedOpenRouter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    first: str,
    options: list[str],
    says: str,
) -> None:
    (tmp_path / "in.csv").write_text(f"{first}\n1\n")
    command = ["map", str(tmp_path / "in.csv"), "-p", "{text}", "-o", str(tmp_path / "out.csv"), *options]
    assert cli.main(command) == 1
    assert says in capsys.readouterr().err
    assert questions(service) == []


def test_a_cell_of_a_csv_file_may_hold_a_document(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    service.always(tone)
    write(tmp_path / "in.csv", [{"id": "1", "text": "good " * 60_000}])
    map_file(tmp_path / "in.csv", "Tone of {text}", tmp_path / "out.jsonl", progress=False)
    [row] = read(tmp_path / "out.jsonl")
    assert (row["text"], row["answer"]) == ("good " * 60_000, '{"answer": "good"}')


def test_batches_are_asked_one_after_the_other_and_a_failed_row_is_told(
    service: ScriptedOpenRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.always(lambda request: error(400, "No.") if question_of(request) == "7" else text("Yes."))
    source, target = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    write(source, [{"n": number} for number in range(25)])
    summary = map_file(source, "{n}", target, progress=False, batch=10)
    assert str(summary) == "25 rows for $0.00096; without an answer: 1 x BadRequestError"
    rows = read(target)
    assert [row["n"] for row in rows] == list(range(25))
    assert [row["answer"] for row in rows].count("Yes.") == 24
    assert "400" in rows[7]["error"]


def test_a_limit_ends_it_and_the_same_command_goes_on(
    service: ScriptedOpenRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    write(source, [{"n": number} for number in range(25)])
    target.write_text("older")
    command = ["map", str(source), "-p", "{n}", "-o", str(target), "-m", "openai/gpt-4o-mini", "--concurrency", "1"]
    assert cli.main([*command, "--max-cost", "0.0026"]) == 1
    assert "may cost" in capsys.readouterr().err
    assert target.read_text() == "older"
    count = len(questions(service))
    assert 1 <= count < 25
    assert cli.main([*command, "--max-cost", "1"]) == 0
    assert len(questions(service)) == 25
    assert [row["answer"] for row in read(target)] == [str(number) for number in range(25)]


def test_a_model_of_unknown_price_is_asked_where_the_command_says_so(
    service: ScriptedOpenRouter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in.csv", [{"n": number} for number in range(3)])
    command = ["map", str(tmp_path / "in.csv"), "-p", "{n}", "-o", str(tmp_path / "out.csv"), "-m", "no/price"]
    assert cli.main([*command, "--max-cost", "1"]) == 1
    assert "--allow-unknown-cost" in capsys.readouterr().err
    assert questions(service) == []
    assert cli.main([*command, "--max-cost", "1", "--allow-unknown-cost"]) == 0
    assert len(questions(service)) == 3


def test_a_dear_file_is_not_begun_without_a_limit(
    service: ScriptedOpenRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHAT_CONFIRM_ABOVE", "0.01")
    write(tmp_path / "in.csv", [{"n": number} for number in range(300)])
    with pytest.raises(BudgetExceededError, match="300 rows: 300 requests"):
        map_file(
            tmp_path / "in.csv", "{n}", tmp_path / "out.csv", model="openai/gpt-4o-mini", progress=False, batch=100
        )
    assert questions(service) == []


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_column_of_the_source_is_lost(service: ScriptedOpenRouter, tmp_path: Path, ending: str) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / f"out.{ending}"
    write(source, [{"n": 1, "cost": 5, "answer_cost": 6}, {"n": 2, "late": "x"}])
    map_file(source, "{n}", target, progress=False)
    first, second = read(target)
    assert [str(first[name]) for name in ("cost", "answer_cost", "answer_answer_cost")] == ["5", "6", "4e-05"]
    assert (second["late"], str(second["answer_answer_cost"])) == ("x", "4e-05")
    if ending != "jsonl":
        with pytest.raises(ConfigurationError, match=r"'late' comes too late.*\.jsonl"):
            map_file(source, "{n}", target, progress=False, batch=1)


def test_blank_lines_bytes_and_half_of_a_character_do_no_harm(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "a"}\n\n{"text": "b", "odd": "\\ud800"}\n\n')
    map_file(source, "{text}", target, progress=False)
    assert [(row["answer"], row.get("odd")) for row in read(target)] == [("a", None), ("b", "\ud800")]
    with_bytes = tmp_path / "in.parquet"
    write(with_bytes, [{"text": "c", "scan": b"\xff"}])  # a column that the prompt does not name
    map_file(with_bytes, "{text}", target, progress=False)
    assert [row["answer"] for row in read(target)] == ["c"]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1, 1.5], "'n' cannot be one of a Parquet file: Float value"),
        ([None, [1]], "'n' cannot be one"),
        ([{}, None], "its objects are empty"),
        (["\ud800", "x"], "'n' cannot be one"),
    ],
)
def test_a_column_that_parquet_cannot_hold_is_told(
    service: ScriptedOpenRouter, tmp_path: Path, values: list[Any], says: str
) -> None:
    write(tmp_path / "in.jsonl", [{"text": "a", "n": value} for value in values])
    with pytest.raises(ConfigurationError, match=says):
        map_file(tmp_path / "in.jsonl", "{text}", tmp_path / "out.parquet", progress=False, batch=1)
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []


ENDS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("number", ENDS)
def test_an_interrupt_says_that_the_same_command_goes_on(
    service: ScriptedOpenRouter,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    number: signal.Signals,
) -> None:
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    request.addfinalizer(partial(signal.signal, number, signal.signal(number, usual)))  # under nohup it is ignored
    write(tmp_path / "in.jsonl", [{"n": number} for number in range(30)])
    interrupts = [5]

    def interrupted(request: Request) -> Answer:
        if interrupts and len(questions(service)) > interrupts[0]:
            interrupts.clear()
            signal.raise_signal(number)
        return text(question_of(request))

    service.always(interrupted)
    command = ["map", str(tmp_path / "in.jsonl"), "-p", "{n}", "-o", str(tmp_path / "out.jsonl"), "--concurrency", "1"]
    assert cli.main(command) == 128 + number
    said = "interrupted" if number == signal.SIGINT else number.name
    assert f"{said}; the answers so far are in the store: the same command goes on" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
    assert signal.getsignal(number) == usual
    assert cli.main(command) == 0
    assert [row["answer"] for row in read(tmp_path / "out.jsonl")] == [str(number) for number in range(30)]
    assert len(questions(service)) <= 31


def test_a_number_without_a_point_is_a_number_in_each_batch(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    service.always(lambda request: text(f'{{"share": {question_of(request)}}}'))
    write(tmp_path / "in.jsonl", [{"n": 7}, {"n": 0.5}])
    schema = {"type": "object", "properties": {"share": {"type": "number"}}}
    map_file(tmp_path / "in.jsonl", "{n}", tmp_path / "out.jsonl", schema=schema, progress=False, batch=1)
    assert (tmp_path / "out.jsonl").read_text().count('"share": 7.0') == 1
    (tmp_path / "in.jsonl").write_text('{"n": "7"}\n{"n": "0.5"}\n')
    map_file(tmp_path / "in.jsonl", "{n}", tmp_path / "out.parquet", schema=schema, progress=False, batch=1)
    assert [row["share"] for row in read(tmp_path / "out.parquet")] == [7.0, 0.5]


def test_a_table_without_rows_gives_one_without_rows(service: ScriptedOpenRouter, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in.parquet")
    map_file(tmp_path / "in.parquet", "{text}", tmp_path / "out.parquet", progress=False)
    assert read(tmp_path / "out.parquet") == []


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("missing.csv", "out.csv", "missing.csv cannot be read"),
        ("in.csv", "out.xlsx", "no table that is known"),
        ("in.csv", "in.csv", "take the place of its source"),
        ("odd.csv", "out.csv", "line 3 has more cells"),
        ("double.csv", "out.csv", "several columns are called 'text'"),
        ("odd.jsonl", "out.csv", "line 2: a line is a list"),
        ("cut.jsonl", "out.csv", "line 3: Expecting value"),
        ("in.csv", "missing/out.parquet", "cannot be written: No such file"),
        ("odd.parquet", "out.csv", "no parquet"),
    ],
)
def test_mistakes_are_told(service: ScriptedOpenRouter, tmp_path: Path, source: str, target: str, says: str) -> None:
    write(tmp_path / "in.csv", ROWS)
    (tmp_path / "odd.csv").write_text("text\na\nb,c\n")
    (tmp_path / "double.csv").write_text("text,text\na,b\n")
    (tmp_path / "odd.jsonl").write_text('{"text": "a"}\n[1]\n')
    (tmp_path / "cut.jsonl").write_text('{"text": "a"}\n\n{"text":\n')
    (tmp_path / "odd.parquet").write_text("nothing of the kind")
    with pytest.raises(ConfigurationError, match=says):
        map_file(tmp_path / source, "{text}", tmp_path / target, progress=False)
    assert questions(service) == []
