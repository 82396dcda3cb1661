"""Data frames: the result is of the same kind, with its index and order, and its columns are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pydantic import BaseModel

import orchat
from orchat.errors import ConfigurationError
from tests.mapping.conftest import question_of, questions, repeated
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, error, text

DATA: dict[str, list[Any]] = {"text": ["good 1", None, "bad 3", "good 1"], "cost": [1.5, 2.0, None, 1.5]}


class Facts(BaseModel):
    tone: Literal["good", "bad"]
    score: int
    share: float
    certain: bool
    words: list[str]


def facts(request: Request) -> Answer:
    question = question_of(request)
    if "bad" in question:
        return error(400, "No.")
    answer = {"tone": "good", "score": 7, "share": 0.5, "certain": True, "words": ["a", "b"]}
    return text(json.dumps(answer))


def relation() -> Any:
    import duckdb

    return duckdb.sql(
        "SELECT * FROM (VALUES (0, 'good 1', 1.5), (1, NULL, 2.0), (2, 'bad 3', NULL), (3, 'good 1', 1.5))"
        " AS t(n, text, cost) ORDER BY n"
    )


MAKERS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(DATA, index=pd.Index([7, 7, "x", None], name="key")),
    "polars": lambda: pl.DataFrame(DATA),
    "lazy polars": lambda: pl.DataFrame(DATA).lazy(),
    "pyarrow": lambda: pa.table(DATA),
    "duckdb": relation,
}


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows of any frame, with None for what is missing."""
    if isinstance(frame, pd.DataFrame):
        columns = [frame[name].astype(object) for name in frame.columns]
        found = [dict(zip(frame.columns, row, strict=True)) for row in zip(*columns, strict=True)]
        return [{name: _or_none(value) for name, value in row.items()} for row in found]
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.to_dicts()
    table = frame if isinstance(frame, pa.Table) else frame.to_arrow_table()
    return table.to_pylist()


def _or_none(value: Any) -> Any:
    return value if isinstance(value, list) or not pd.isna(value) else None


@pytest.fixture
def service(service: ScriptedOpenRouter) -> ScriptedOpenRouter:
    service.always(facts)
    return service


@pytest.mark.parametrize("kind", MAKERS)
def test_kind_order_types_and_missing_values(service: ScriptedOpenRouter, kind: str) -> None:
    data = MAKERS[kind]()
    result = orchat.map("Is {text} at {cost}?", data, schema=Facts, progress=False)
    assert type(result.frame) is type(data)
    assert sorted(questions(service)) == ["Is  at 2.0?", "Is bad 3 at ?", "Is good 1 at 1.5?"]
    rows = rows_of(result.frame)
    assert [row["tone"] for row in rows] == ["good", "good", None, "good"]
    assert [row["score"] for row in rows] == [7, 7, None, 7]
    assert [row["certain"] for row in rows] == [True, True, None, True]
    assert rows[0]["words"] == ["a", "b"]
    assert [row["cost"] for row in rows] == [0.00004, 0.00004, 0.0, 0.0]
    assert rows[0]["error"] is None
    assert "400" in rows[2]["error"]
    assert list(rows[0]) == [*Facts.model_fields, "error", "cost", "model", "finish_reason"]
    (failure,) = rows_of(result.failures)
    assert (failure["row"], failure["reason"]) == (2, "BadRequestError")


@pytest.mark.parametrize("kind", MAKERS)
def test_an_empty_frame_gives_an_empty_frame_with_its_columns(service: ScriptedOpenRouter, kind: str) -> None:
    data = MAKERS[kind]()
    empty = data.limit(0) if kind == "duckdb" else data.slice(0, 0) if "pandas" not in kind else data.iloc[:0]
    result = orchat.map("Is {text}?", empty, schema=Facts, progress=False)
    assert type(result.frame) is type(empty)
    assert rows_of(result.frame) == []
    names = (
        result.frame.collect_schema().names()
        if kind == "lazy polars"
        else list(getattr(result.frame, "column_names", None) or result.frame.columns)
    )
    assert names[:2] == ["tone", "score"]
    assert questions(service) == []


def test_pandas_keeps_its_index_and_gets_the_types_of_the_schema(service: ScriptedOpenRouter) -> None:
    data = MAKERS["pandas"]()
    result = orchat.map("Is {text}?", data.iloc[[0, 3]], schema=Facts, progress=False)
    assert [str(result.frame[name].dtype) for name in ("tone", "score", "share", "certain", "words")] == [
        "category", "int64", "float64", "bool", "object",
    ]  # fmt: skip
    assert list(result.frame["tone"].cat.categories) == ["good", "bad"]
    with_failure = orchat.map("Is {text} at {cost}?", data, schema=Facts, progress=False).frame
    assert [str(with_failure[name].dtype) for name in ("score", "share", "certain")] == ["Int64", "float64", "boolean"]
    assert with_failure.index.equals(data.index)
    assert with_failure.index.name == "key"
    data["tone"] = with_failure["tone"].to_numpy()
    assert data["tone"].isna().tolist() == [False, False, True, False]


def test_polars_arrow_and_duckdb_get_the_types_of_the_schema(service: ScriptedOpenRouter) -> None:
    schema = {
        name: orchat.map("Is {text}?", MAKERS[name](), schema=Facts, progress=False).frame
        for name in ("polars", "pyarrow", "duckdb")
    }
    assert schema["polars"].schema["tone"] == pl.Enum(["good", "bad"])
    assert schema["polars"].schema["score"] == pl.Int64
    assert schema["polars"].schema["words"] == pl.List(pl.String)
    assert schema["pyarrow"].schema.field("score").type == pa.int64()
    assert pa.types.is_dictionary(schema["pyarrow"].schema.field("tone").type)
    assert "BIGINT" in [str(kind) for kind in schema["duckdb"].types]


def test_a_column_of_a_result_is_that_of_its_library(service: ScriptedOpenRouter) -> None:
    kinds = {"pandas": pd.Series, "polars": pl.Series, "lazy polars": pl.Series, "pyarrow": pa.ChunkedArray}
    for name, kind in kinds.items():
        assert isinstance(orchat.map("Is {text}?", MAKERS[name](), schema=Facts, progress=False)["score"], kind)
    result = orchat.map("Is {text}?", relation(), schema=Facts, progress=False)
    assert result["score"].fetchall()[0] == (7,)
    with pytest.raises(KeyError, match="there are tone, score"):
        result["socre"]


def test_duplicate_column_names_are_only_told_where_they_are_used(service: ScriptedOpenRouter) -> None:
    data = pd.DataFrame([["good", 1, 2]], columns=["text", "n", "n"])
    assert orchat.map("Is {text}?", data, schema=Facts, progress=False)["score"].tolist() == [7]
    with pytest.raises(ConfigurationError, match="Several columns are called 'n'"):
        orchat.map("Is {text} {n}?", data, progress=False)
    table = pa.Table.from_arrays([pa.array(["good"]), pa.array([1]), pa.array([2])], names=["text", "n", "n"])
    assert orchat.map("Is {text}?", table, schema=Facts, progress=False)["score"].to_pylist() == [7]


def test_series_arrays_and_columns_of_other_names(service: ScriptedOpenRouter) -> None:
    series = pd.Series(["good 1", "good 2"], index=["b", "a"], name="text")
    result = orchat.map("Is {value}?", series, schema=Facts, progress=False)
    assert list(result.frame.index) == ["b", "a"]
    assert isinstance(orchat.map("Is {value}?", pl.Series(["x"]), schema=Facts, progress=False).frame, pl.DataFrame)
    assert orchat.map("Is {value}?", np.array([1, 2]), schema=Facts, progress=False)["score"] == [7, 7]
    data = pd.DataFrame({0: ["good 5"], "the text": ["good 6"]})
    assert not len(orchat.map("Is {row['the text']}?", data, schema=Facts, progress=False).failures)
    assert not len(orchat.map(lambda row: f"Is {row[0]}?", data, schema=Facts, progress=False).failures)
    assert {"Is good 5?", "Is good 6?", "Is 1?", "Is good 2?"} <= set(questions(service))


def test_values_of_a_frame_are_written_as_people_mean_them(service: ScriptedOpenRouter) -> None:
    data = pd.DataFrame(
        {
            "day": pd.to_datetime(["2026-03-01"]),
            "count": pd.array([3], dtype="Int64"),
            "kind": pd.Categorical(["tide"]),
            "part": [{"a": 1}],
        }
    )
    orchat.map("{day}; {count}; {kind}; {part}; {part['a']}", data, schema=Facts, progress=False)
    (question,) = questions(service)
    assert question.startswith("2026-03-01 00:00:00; 3; tide; ")
    assert question.endswith("; 1")


def test_what_is_missing_in_a_whole_row_is_null(service: ScriptedOpenRouter) -> None:
    service.always(repeated)
    data = pd.DataFrame(
        {"n": pd.array([None], "Int64"), "x": [np.nan], "day": pd.to_datetime([None]), "kind": [None], "note": "nan"}
    )
    for frame in (data, data.convert_dtypes(dtype_backend="pyarrow"), pl.DataFrame({"x": [float("nan")]})):
        (answer,) = orchat.map("{row}", frame, progress=False)["answer"]
        values = json.loads(answer)
        assert values.pop("note", "nan") == "nan"
        assert set(values.values()) == {None}


def test_what_is_within_a_missing_value_is_missing_and_other_items_are_named(service: ScriptedOpenRouter) -> None:
    service.always(repeated)
    data = pl.DataFrame({"place": [{"city": "Hull"}, None]})
    result = orchat.map("{place['city']}", data, progress=False)
    assert result["answer"].to_list() == ["Hull", None]
    assert result.failures["error"].to_list() == ["not asked: `place['city']` has no value in this row"]
    rows = [{"place": {"city": "Goole"}}, {"place": {"ctiy": "York"}}, {"place": "Hull"}]
    failures = orchat.map("{place['city']}", rows, progress=False).failures
    assert [each["error"] for each in failures] == [
        "{place['city']}: place has no item 'city'; did you mean ctiy?",
        "{place['city']}: place has no item 'city'",
    ]


def test_a_value_of_xarray_is_its_value(service: ScriptedOpenRouter) -> None:
    import xarray

    service.always(repeated)
    assert orchat.map("{value}", xarray.DataArray([1.5, np.nan]), progress=False).values == ["1.5", None]


def test_arrays_and_batches_of_pyarrow_are_read_as_tables_are(service: ScriptedOpenRouter) -> None:
    batch = pa.record_batch({"text": ["good 1", "good 2"]})
    reader = pa.Table.from_batches([batch]).to_reader()
    for prompt, data in {"Is {text}?": batch, "Is {text} ?": reader, "Is {value}!": batch["text"]}.items():
        frame = orchat.map(prompt, data, schema=Facts, progress=False).frame
        assert isinstance(frame, pa.Table)
        assert frame["score"].to_pylist() == [7, 7]
    assert set(questions(service)) == {f"Is good {n}{end}" for n in (1, 2) for end in ("?", " ?", "!")}


def test_a_missing_date_of_numpy_is_no_value_and_a_field_of_a_struct_is_an_item(service: ScriptedOpenRouter) -> None:
    days = np.array(["2024-01-01", "NaT"], dtype="datetime64[D]")
    missing = orchat.map("{value}", days, progress=False).outcomes[1].error
    assert missing == "not asked: `value` has no value in this row"
    structs = pl.DataFrame({"s": [{"k": 1}, {"k": 2}]})
    orchat.map("{s['k']}", structs, progress=False, concurrency=1)
    failed = orchat.map("{s.k}", structs, progress=False).outcomes[0].error
    assert failed == "{s.k}: the item of a dictionary is written ['k'], not .k"
    assert questions(service) == ["2024-01-01", "1", "2"]


def test_periods_and_intervals_are_written_as_people_mean_them(service: ScriptedOpenRouter) -> None:
    data = pd.DataFrame({"month": pd.period_range("2026-01", periods=1, freq="M"), "bin": [pd.Interval(0, 1)]})
    orchat.map("{month} in {bin}", data, schema=Facts, progress=False)
    assert questions(service) == ["2026-01 in (0, 1]"]


def test_explode_repeats_the_index(service: ScriptedOpenRouter) -> None:
    service.always(text('{"items": ["x", "y"]}'))
    data = pd.DataFrame({"text": ["a", "b"]}, index=["p", "q"])
    frame = orchat.map("{text}", data, schema=list[str], explode=True, progress=False).frame
    assert list(frame.index) == ["p", "p", "q", "q"]
    assert frame["answer"].tolist() == ["x", "y", "x", "y"]
    assert frame["row"].tolist() == [0, 0, 1, 1]
    table = orchat.map("{text}", pl.from_pandas(data), schema=list[str], explode=True, progress=False).frame
    assert table["row"].to_list() == [0, 0, 1, 1]
