"""Values of well-known libraries: they say what they hold, and with ``privacy="schema"`` no value of it leaves."""

from __future__ import annotations

import dataclasses
import importlib
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import polars as pl
import pyarrow as pa
import pytest

from orchat.messages import ImageContent
from orchat.rendering import render, render_text, render_value

SECRET = "Zanzibar"
FRAME = pd.DataFrame({"port": [SECRET, "York"], "level": [47.11, 47.11]})


@dataclasses.dataclass
class Tide:
    port: str
    level: float


# Altair, Bokeh, NetworkX and xarray are imported where they are used: each process of the tests collects this file.


class Protocol:
    """A frame of a library that nobody here knows."""

    def __array__(self) -> Any:
        return np.array([47.11])

    def __repr__(self) -> str:
        return f"{SECRET} 47.11"


def row() -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    found: sqlite3.Row = connection.execute(f"select '{SECRET}' as port, 47.11 as level").fetchone()
    connection.close()
    return found


def dataset() -> Any:
    import xarray as xr

    return xr.Dataset({"level": (("port",), [47.11, 47.11])}, coords={"port": [SECRET, "York"]})


def graph() -> Any:
    import networkx as nx

    made = nx.Graph()
    made.add_edge(SECRET, "York", level=47.11)
    return made


def chart() -> Any:
    import altair as alt

    return alt.Chart(FRAME, title="Tides").mark_bar().encode(x="port", y="level")


def bokeh_plot() -> Any:
    import bokeh.plotting

    plot = bokeh.plotting.figure(title="Tides", x_range=[SECRET, "York"])
    plot.vbar(x=[SECRET, "York"], top=[47.11, 47.11])
    return plot


def plotly_figure() -> Any:
    made = go.Figure([go.Bar(x=[SECRET, "York"], y=np.array([47.11, 47.11]), name="high")])
    return made.update_layout(title="Tides")


HELD: dict[str, Callable[[], Any]] = {
    "pyarrow table": lambda: pa.table({"port": [SECRET], "level": [47.11]}),
    "pyarrow array": lambda: pa.array([SECRET]),
    "pyarrow chunks": lambda: pa.chunked_array([[SECRET], ["York"]]),
    "pyarrow batch": lambda: pa.RecordBatch.from_pydict({"port": [SECRET]}),
    "pyarrow scalar": lambda: pa.scalar(SECRET),
    "duckdb": lambda: importlib.import_module("duckdb").sql(f"select '{SECRET}' as port"),
    "narwhals": lambda: nw.from_native(FRAME),
    "narwhals series": lambda: nw.from_native(FRAME["port"], series_only=True),
    "narwhals lazy": lambda: nw.from_native(pl.LazyFrame({"port": [SECRET]})),
    "polars lazy": lambda: pl.LazyFrame({"port": [SECRET]}),
    "polars group-by": lambda: pl.DataFrame({"port": [SECRET]}).group_by("port"),
    "xarray": dataset,
    "xarray array": lambda: dataset()["level"],
    "index": lambda: pd.Index([SECRET]),
    "multi-index": lambda: pd.MultiIndex.from_tuples([(SECRET, 47.11)]),
    "group-by": lambda: FRAME.groupby("port"),
    "groups": lambda: FRAME.groupby("port").groups,
    "record": lambda: FRAME.to_records()[0],
    "recarray": FRAME.to_records,
    "categorical": lambda: FRAME["port"].astype("category").array,
    "pandas rows": lambda: list(FRAME.itertuples()),
    **{f"pandas {kind}": partial(FRAME.to_dict, kind) for kind in ("records", "list", "dict", "index", "split")},
    "tuples": lambda: [tuple(each) for each in FRAME.to_numpy().tolist()],
    "dataclasses": lambda: [Tide(SECRET, 47.11), Tide("York", 47.11)],
    "row": row,
    "rows": lambda: [row(), row()],
    "graph": graph,
    "altair": chart,
    "bokeh": bokeh_plot,
    "plotly": plotly_figure,
    "unknown": Protocol,
}  # fmt: skip


@pytest.mark.parametrize("name", HELD)
def test_with_privacy_schema_no_value_leaves(name: str) -> None:
    value = HELD[name]()
    among = [value, {"a": {"deep": [value]}}, [value, value]]
    for each in [value, *(among if name != "groups" else [])]:
        parts = render(each, privacy="schema")
        text = render_text(each, privacy="schema")
        assert SECRET not in text, text
        assert "47.11" not in text, text
        assert "could not be rendered" not in text
        assert not any(isinstance(part, ImageContent) for part in parts)


@pytest.mark.parametrize("name", HELD)
def test_without_it_values_are_shown(name: str) -> None:
    text = render_text(HELD[name]())
    assert "could not be rendered" not in text
    lazy = {"polars lazy", "narwhals lazy", "duckdb", "polars group-by", "altair"}
    assert (SECRET in text) == (name not in lazy), text
    assert len(text) < 1_000


def test_single_values_and_plain_lists_are_no_tables() -> None:
    assert render_text([1, 2.5, "x"], privacy="schema") == '[1, 2.5, "x"]'
    assert render_text({"port": "Hull", "at": pd.Timestamp("2026-01-01")}, privacy="schema") == (
        '{"port": "Hull", "at": "2026-01-01T00:00:00"}'
    )
    assert render_text(np.float64(2.5), privacy="schema") == "2.5"


def test_queries_that_have_not_run_are_their_schema() -> None:
    lazy = pl.LazyFrame({"port": ["Hull"], "level": [7.1]})
    assert render_text(lazy) == (
        "polars LazyFrame: 2 columns, a query that has not run\ncolumn,dtype\nport,String\nlevel,Float64"
    )
    import duckdb

    assert "answer,Int32" in render_text(duckdb.sql("select 7 as answer"))


def test_every_library_has_the_same_lines() -> None:
    line = "level,{},0,2,1 1.5 2 2.5 3"
    for made, dtype in (
        (pd.DataFrame({"level": [1, 3]}), "int64"),
        (pl.DataFrame({"level": [1, 3]}), "Int64"),
        (pa.table({"level": [1, 3]}), "int64"),
        (nw.from_native(pl.DataFrame({"level": [1, 3]})), "Int64"),
    ):
        assert line.format(dtype) in render_text(made)
    assert "value,string,1,1,Hull (2)" in render_text(pa.array(["Hull", "Hull", None]))
    assert render_text(pd.Index([5, 6], name="year")).startswith("pandas Index: 2 rows, 1 column")


def test_a_graph_is_its_nodes_and_edges() -> None:
    assert render_text(graph()) == (
        '{"graph": "networkx Graph, 2 nodes, 1 edges", "nodes": ["Zanzibar", "York"], '
        '"edges": [["Zanzibar", "York", {"level": 47.11}]]}'
    )
    import networkx as nx

    assert render_value(nx.complete_graph(100), budget=300).tokens <= 300


def test_a_group_by_is_its_groups() -> None:
    text = render_text(FRAME.groupby("port"))
    assert text.startswith("pandas DataFrameGroupBy: 2 groups, and how many rows each has\n")
    assert text.endswith("port,rows\nYork,1\nZanzibar,1")


def test_a_chart_is_its_specification_and_picture_and_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = render_value(chart())
    text, picture = rendered.parts
    assert '"title": "Tides"' in text.text  # type: ignore[union-attr]
    assert '"field": "port"' in text.text  # type: ignore[union-attr]
    assert isinstance(picture, ImageContent)
    import altair as alt

    elsewhere = alt.Chart("http://127.0.0.1:9/tides.csv").mark_bar().encode(x="port:N")
    assert render_value(elsewhere).text.startswith('{"mark": {"type": "bar"}')
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # as if it were not installed
    assert "Zanzibar,47.11" in render_text(chart())


def test_plotly_and_bokeh_give_their_titles_and_data() -> None:
    assert render_text(plotly_figure()) == (
        '{"figure": "plotly figure with 1 traces", "title": "Tides", '
        '"traces": [{"type": "bar", "name": "high", "x": ["Zanzibar", "York"], "y": [47.11, 47.11]}]}'
    )
    long = go.Figure([go.Scatter(y=list(range(10_000)))])
    assert '"y": {"values": 10000, "first": [0, 1, 2' in render_text(long)
    assert render_text(go.Figure()) == '{"figure": "plotly figure with 0 traces", "traces": []}'
    assert '"glyphs": [{"type": "VBar", "x": ["Zanzibar", "York"], "top": [47.11, 47.11]' in render_text(bokeh_plot())
    assert '"title": "Tides"' in render_text(bokeh_plot())


def test_an_exception_group_says_what_is_in_it() -> None:
    inner = ExceptionGroup("inner", [KeyError("k")])
    text = render_text(ExceptionGroup("many", [ValueError("no tide"), inner, *[OSError(n) for n in range(20)]]))
    lines = text.splitlines()
    assert lines[1:4] == [
        "  - ValueError: no tide",
        "  - ExceptionGroup: inner (1 sub-exception)",
        "    - KeyError: 'k'",
    ]
    assert lines[-1] == "  ... 12 more"
