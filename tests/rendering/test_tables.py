"""Frames, series and arrays: schema, size and a few rows; never more than privacy and budget allow."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.rendering import Privacy, render_text, render_value


def tides(rows: int = 12_000) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "port": [f"port-{number}" for number in range(rows)],
            "level": [None if number % 2 else number / 8 for number in range(rows)],
            "at": pd.date_range("2026-01-01", periods=rows, freq="h"),
        }
    )


def read(text: str) -> tuple[list[list[str]], list[list[str]]]:
    """Read back the schema's lines and the rows'."""
    schema, _, rows = text.partition("\n\n")
    lines = [list(csv.reader(io.StringIO(block))) for block in (schema, rows)]
    return lines[0][2:], lines[1][1:]


def test_a_frame_is_its_schema_and_its_first_rows() -> None:
    rendered = render_value(tides(), budget=120)
    assert rendered.text.startswith("pandas DataFrame: 12,000 rows, 3 columns\ncolumn,dtype,missing,distinct,")
    schema, rows = read(rendered.text)
    assert [line[0] for line in schema] == ["port", "level", "at"]
    assert [line[2:4] for line in schema] == [["0", "12000"], ["6000", "6000"], ["0", "12000"]]
    assert [line[4] for line in schema] == ["", "0 374.9 749.9 1124.8 1499.75", "2026-01-01 to 2027-05-15 23:00:00"]
    assert rows[:3] == [
        ["port", "level", "at"],
        ["port-0", "0", "2026-01-01 00:00:00"],
        ["port-1", "", "2026-01-01 01:00:00"],
    ]
    assert rendered.summary("df") == (f"df: schema and {len(rows) - 1} of 12,000 rows, {rendered.tokens} tokens")
    assert 1 < len(rows) - 1 < 12


def test_never_more_than_twenty_rows() -> None:
    assert render_value(tides(), budget=100_000).what == "schema and 20 of 12,000 rows"
    assert render_value(tides(3)).what == "schema and 3 of 3 rows"
    assert render_value(tides(1)).what == "schema and 1 of 1 row"


def test_schema_alone_shows_no_value() -> None:
    frame = tides().set_index("port")
    for value in (frame, frame["level"], frame.style):
        text = render_text(value, privacy="schema")
        assert "level,float64,6000" in text
        assert "port-" not in text
        assert "2026-" not in text
    array = render_text(np.array([4711.0]), privacy="schema")
    assert array == "numpy array, shape (1,), dtype float64"


def test_a_sample_is_random_and_the_same_each_time() -> None:
    text = render_text(tides(), privacy="sample")
    assert text == render_text(tides(), privacy="sample")
    numbers = [int(row[0].removeprefix("port-")) for row in read(text)[1][1:]]
    assert len(numbers) == 20
    assert numbers == sorted(numbers)
    assert max(numbers) > 6_000
    assert len(read(render_text(tides(3), privacy="sample"))[1]) == 4


def test_an_index_that_says_something_is_shown_and_levels_are_joined() -> None:
    frame = tides(4).assign(kind=["a", "b", "a", "b"]).groupby(["kind", "port"]).agg({"level": ["min", "max"]})
    assert read(render_text(frame))[1][:2] == [
        ["kind", "port", "level / min", "level / max"],
        ["a", "port-0", "0", "0"],
    ]
    series = pd.Series([1, 2], index=["x", "y"])
    assert read(render_text(series))[1] == [["index", "value"], ["x", "1"], ["y", "2"]]


def test_columns_of_the_same_name_are_each_shown() -> None:
    frame = pd.DataFrame([[1, "x"]], columns=["a", "a"])
    assert read(render_text(frame))[1] == [["a", "a"], ["1", "x"]]


def test_a_wide_frame_says_how_many_columns_are_left_out_and_still_shows_rows() -> None:
    rendered = render_value(pd.DataFrame(np.zeros((3, 10_000))), budget=100)
    assert "more columns" in rendered.text
    assert rendered.what == "schema and 3 of 3 rows"


def test_cells_are_bounded_and_hold_no_secret() -> None:
    frame = pd.DataFrame(
        {
            "text": ["x" * 10_000, "sk-or-v1-0123456789abcdef"],
            "list": [list(range(100_000)), None],
            "password": ["hunter2", None],
        }
    )
    rendered = render_value(frame)
    assert rendered.tokens < 100
    assert "list of 100,000" in rendered.text
    assert read(rendered.text)[1][2] == ["[redacted]", "", ""]
    assert "hunter2" not in rendered.text
    assert "secrets redacted" in rendered.what
    assert "hunter2" not in render_text(frame["password"])


@pytest.mark.parametrize("value", [pd.DataFrame(), pd.DataFrame({"a": []}), pd.Series([], dtype=float), tides(0)])
def test_empty_frames_are_their_schema(value: Any) -> None:
    assert render_value(value).what == "schema and 0 of 0 rows"


def test_polars_is_read_alike() -> None:
    frame = pl.DataFrame({"port": [f"port-{n}" for n in range(100)], "level": [None, 1.5] * 50})
    schema, rows = read(render_text(frame))
    assert schema == [["port", "String", "0", "100", ""], ["level", "Float64", "50", "1", "1.5 1.5 1.5 1.5 1.5"]]
    assert rows[:3] == [["port", "level"], ["port-0", ""], ["port-1", "1.5"]]
    assert len(rows) == 21
    assert "port-" not in render_text(frame, privacy="schema")
    assert render_value(frame["level"]).text.startswith("polars Series: 100 rows, 1 column\n")
    assert render_text(frame, privacy="sample") == render_text(frame, privacy="sample") != render_text(frame)


def test_in_other_data_a_large_table_is_its_shape_and_a_small_one_is_shown() -> None:
    text = render_text({"df": tides(), "a": np.zeros((20, 30)), "small": tides(1)[["port"]], "b": np.zeros((2, 3))})
    assert "of shape (12000, 3)" in text
    assert '"a": "numpy.ndarray of shape (20, 30)"' in text
    assert '"small": [{"port": "port-0"}], "b": [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]' in text
    assert "port-1" not in text
    series = {"s": pd.Series([1, 2], index=["x", "y"]), "i": pd.Index([3]), "p": pl.Series([4])}
    assert render_text(series) == '{"s": {"x": 1, "y": 2}, "i": [3], "p": [4]}'


def test_keys_that_are_no_text_stay_apart() -> None:
    keys = {(0, 1): "a", (1, 2): "b", np.int64(3): "c", 1.5: "d", None: "e", ("x", np.float32(0.5)): "f", 1: "g"}
    assert render_text({**keys, "1": "h"}) == (
        '{"(0, 1)": "a", "(1, 2)": "b", "3": "c", "1.5": "d", "null": "e", "(\\"x\\", 0.5)": "f", "1": "g", '
        '"1 (2)": "h"}'
    )
    levels = pd.DataFrame({"port": ["Hull", "York"], "year": [1, 2], "level": [7, 2]})
    assert render_text(dict(list(levels.groupby(["port", "year"])["level"]))) == (
        '{"(\\"Hull\\", 1)": [7], "(\\"York\\", 2)": [2]}'
    )
    assert "tide-7" not in render_text({("api_key", 1): "tide-7"})


def test_dtypes_lists_structs_and_digits_are_shown() -> None:
    frame = pd.DataFrame(
        {"n": [0.123456789, 123.456789], "price": [1234.56, 0.01], "l": [[1, 2], None], "d": [{"a": "x"}, {"b": 1}]}
    )
    assert read(render_text(frame.dtypes))[1][1:] == [
        ["n", "float64"], ["price", "float64"], ["l", "object"], ["d", "object"],
    ]  # fmt: skip
    assert read(render_text(frame))[1][1:] == [
        ["0.12", "1234.56", "[1, 2]", '{"a": "x"}'],
        ["123.46", "0.01", "", '{"b": 1}'],
    ]
    assert read(render_text(pl.DataFrame({"s": [{"a": 1}]})))[1][1:] == [['{"a": 1}']]


def test_a_wide_frame_of_floats_tells_of_each_column() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 61))
    rendered = render_value(pd.DataFrame(values, columns=[f"c{n}" for n in range(61)]))
    schema, rows = read(rendered.text)
    assert [line[0] for line in schema] == [f"c{n}" for n in range(61)]
    assert all(len(line[4].split()) == 5 for line in schema)
    assert len(rows) >= 9


def test_a_summary_tells_no_secret() -> None:
    frame = pd.DataFrame(
        {"password": ["hunter2"] * 3, "pin_code_secret": [4711] * 3, "note": ["sk-or-v1-0123456789abcdef"] * 3}
    )
    text = render_text(frame)
    assert "hunter2" not in text
    assert "0123456789abcdef" not in text
    turned = pd.DataFrame([["a", "b", "api_key", "api_key"], ["1", "1", "tide-7", "tide-7"]]).T
    assert "tide-7 (2)" not in render_text(turned.set_index(0))


def test_a_list_of_frames_is_each_of_them() -> None:
    rendered = render_value([tides(), tides(2), "and sk-or-v1-0123456789abcdef"], budget=300)
    assert len(rendered.parts) == 3
    assert rendered.tokens <= 300
    assert rendered.parts[2].text == "and [redacted]"  # type: ignore[union-attr]
    many = render_value([tides(2)] * 40, budget=2_000)
    assert many.text.endswith("[... 24 more values left out ...]")
    assert many.tokens <= 2_000


def test_an_array_is_shape_range_mean_and_corners() -> None:
    array = np.arange(1_000_000, dtype=float).reshape(1000, 1000)
    array[0, 0] = np.nan
    text = render_text(array)
    assert text.startswith(
        "numpy array, shape (1000, 1000), dtype float64\nmin 1, max 999999, mean 500000, 1 without a finite value"
    )
    assert "999999." in text
    assert "500500" not in text


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([True, False]), "mean 0.5"),
        (np.array(5), "mean 5"),
        (np.array([]), "shape (0,)"),
        (np.array([np.nan]), "1 without a finite value"),
        (np.array(["a", "b"]), "['a' 'b']"),
        (np.array([{"a": 1}], dtype=object), "{'a': 1}"),
        (np.array([1 + 2j]), "[1.+2.j]"),
        (np.array([(1, 2.0)], dtype=[("x", int), ("y", float)]), "[(1, 2.)]"),
        (np.ma.masked_array([1, 2], [True, False]), "mean 2"),
        (np.datetime64("2026-01-01"), "2026-01-01"),
        (np.int64(3), "3"),
        (np.float32(0.5), "0.5"),
    ],
    ids=str,
)
def test_arrays_of_every_kind(array: Any, said: str) -> None:
    assert said in render_text(array)


FRAMES = [tides(50), tides(50).style, tides(50)["port"], tides(50).T, pl.DataFrame({"満": ["潮" * 200] * 9})]
ARRAYS = [np.zeros((9, 9, 9)), np.array(["潮" * 500] * 9)]


@given(st.sampled_from(FRAMES + ARRAYS), st.integers(1, 400), st.sampled_from(["schema", "head", "sample"]))
def test_any_table_fits_any_budget(value: Any, budget: int, privacy: Privacy) -> None:
    rendered = render_value(value, budget=budget, privacy=privacy)
    assert rendered.tokens <= budget
    assert "could not be rendered" not in rendered.text


def test_frames_hide_their_secrets_whichever_way_they_are_turned() -> None:
    frame = pd.DataFrame({"user_name": ["Ada"], "api_key": ["tide-7"], "user_age": [31]})
    other = pl.DataFrame({"user_name": ["Ada"], "api_key": ["tide-7"]})
    ways = [
        frame,
        frame.T,
        frame.iloc[0],
        frame.set_index("api_key"),
        frame.T.reset_index(),
        frame.reset_index().T,
        other,
    ]
    ways += [other.transpose(include_header=True)]
    ways += [frame.to_dict(way) for way in ("dict", "list", "split", "tight", "records", "index")]  # type: ignore[call-overload]
    ways += [frame.T.to_dict("split"), frame.to_json(orient="split"), frame.to_json(), list(frame.iloc[0].items())]
    for value in ways:
        text = render_text(value)
        assert "tide-7" not in text, text
        assert "Ada" in text
        assert "[redacted]" in text
