"""Say what objects of well-known libraries hold that their own displays do not: graphs, group-bys, charts.

A chart that is a specification gives its picture where a converter is installed (``vl-convert``), else its data; none
opens a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from orchat.messages import TextContent
from orchat.rendering.data_privacy import Privacy
from orchat.rendering.images import render_encoded
from orchat.rendering.plain_data import render_plain
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import is_instance_by_name
from orchat.rendering.table_sources import table_of
from orchat.rendering.tables import render_table

_MOST_POINTS = 20  # values of a series of a chart
_MOST_TRACES = 20
_DATA_KEYS = frozenset({"data", "datasets", "$schema", "config"})


def render_library_object(value: Any, budget: int, privacy: Privacy) -> Rendered | None:
    """Render a graph, group-by or chart; None for anything else."""
    for kind, renderer in _RENDERERS.items():
        if is_instance_by_name(value, kind):
            return renderer(value, budget, privacy)
    return None


def _graph(graph: Any, budget: int, privacy: Privacy) -> Rendered:
    words = f"networkx {type(graph).__name__}, {len(graph):,} nodes, {graph.number_of_edges():,} edges"
    if privacy == "schema":
        return Rendered.from_text(words, "size of a graph", budget)
    held: dict[str, Any] = {"graph": words, **({"about": dict(graph.graph)} if graph.graph else {})}
    nodes = dict(islice(graph.nodes(data=True), budget))
    edges = list(islice(graph.edges(data=True), budget))
    held["nodes"] = nodes if any(nodes.values()) else list(nodes)
    held["edges"] = [[one, other, data] if data else [one, other] for one, other, data in edges]
    return Rendered(render_plain(held, budget).parts, words)


def _group_by(groups: Any, budget: int, privacy: Privacy) -> Rendered:
    words = f"pandas {type(groups).__name__}: {groups.ngroups:,} groups"
    if privacy == "schema":
        return Rendered.from_text(words, "size of a group-by", budget)
    table = table_of(groups.size().rename("rows"))
    if table is None:
        return Rendered.from_text(words, "size of a group-by", budget)
    found = render_table(table, max(1, budget - 20), privacy)
    return Rendered.from_text(f"{words}, and how many rows each has\n{found.text}", words, budget)


def _altair(chart: Any, budget: int, privacy: Privacy) -> Rendered:
    spec = chart.to_dict()
    text = render_plain(_without_data(spec), max(1, budget // 3)).text
    if privacy == "schema":
        return Rendered.from_text(text, "specification of a chart", budget)
    picture = _vega_picture(spec)
    if picture is not None:
        rendered = render_encoded(picture, "image/png", max(1, budget - budget // 3), "altair chart")
        return Rendered([TextContent(text), *rendered.parts], "altair chart, its specification and picture")
    table = table_of(chart.data)
    data = render_table(table, budget // 2, privacy).text if table is not None else ""
    return Rendered.from_text(f"{text}\n{data}".rstrip(), "altair chart, its specification and data", budget)


def _vega_picture(spec: Mapping[str, Any]) -> bytes | None:
    try:
        import vl_convert  # type: ignore[import-not-found,unused-ignore]

        # No address: a chart may name data of other servers, and nothing is fetched for a prompt.
        return bytes(vl_convert.vegalite_to_png(dict(spec), allowed_base_urls=[]))
    except Exception:  # noqa: BLE001 - not installed, or it cannot draw this one: then its data are sent
        return None


def _without_data(spec: Any) -> Any:
    if isinstance(spec, Mapping):
        return {name: _without_data(each) for name, each in spec.items() if name not in _DATA_KEYS}
    return [_without_data(each) for each in spec] if isinstance(spec, list) else spec


def _plotly(figure: Any, budget: int, privacy: Privacy) -> Rendered:
    layout = figure.layout
    titles = {"title": layout.title.text, "x": layout.xaxis.title.text, "y": layout.yaxis.title.text}
    held: dict[str, Any] = {"figure": f"plotly figure with {len(figure.data)} traces"}
    held |= {name: text for name, text in titles.items() if text}
    held["traces"] = [
        {
            "type": trace.type,
            **({"name": trace.name} if trace.name else {}),
            **({} if privacy == "schema" else _points(trace.to_plotly_json())),
        }
        for trace in figure.data[:_MOST_TRACES]
    ]
    return Rendered(render_plain(held, budget).parts, "titles and data of a plotly figure")


def _points(trace: Mapping[str, Any]) -> dict[str, Any]:
    names = ("x", "y", "z", "labels", "values", "lat", "lon", "locations", "parents", "text", "open", "high", "low")
    found = {name: trace[name] for name in (*names, "close") if name in trace}
    return {name: series for name, each in found.items() if (series := _series(each)) is not None}


def _bokeh(plot: Any, budget: int, privacy: Privacy) -> Rendered:
    title = getattr(getattr(plot, "title", None), "text", None)
    held: dict[str, Any] = {"plot": f"bokeh {type(plot).__name__}", **({"title": title} if title else {})}
    for side, axis in (("x", "xaxis"), ("y", "yaxis")):
        labels = [label for each in getattr(plot, axis, []) if (label := getattr(each, "axis_label", None))]
        held |= {side: labels[0]} if labels else {}
    glyphs = [each for each in getattr(plot, "renderers", []) if hasattr(each, "data_source")][:_MOST_TRACES]
    held["glyphs"] = [
        {
            "type": type(each.glyph).__name__,
            **({} if privacy == "schema" else {str(n): _series(v) for n, v in each.data_source.data.items()}),
        }
        for each in glyphs
    ]
    return Rendered(render_plain(held, budget).parts, "titles and data of a bokeh plot")


def _series(values: Any) -> Any:
    """Return a short series whole, of a long one the first values and its size; None where it is none."""
    if isinstance(values, Mapping) and "bdata" in values:  # as plotly writes arrays
        import base64

        import numpy

        values = numpy.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
    if isinstance(values, str) or not hasattr(type(values), "__len__"):
        return None
    first = [each.item() if hasattr(each, "item") else each for each in islice(values, _MOST_POINTS)]
    first = [float(f"{each:.5g}") if isinstance(each, float) else each for each in first]
    return first if len(values) <= _MOST_POINTS else {"values": len(values), "first": first}


_RENDERERS: dict[str, Callable[[Any, int, Privacy], Rendered]] = {
    "networkx.Graph": _graph,
    "pandas.core.groupby.groupby.GroupBy": _group_by,
    "altair.TopLevelMixin": _altair,
    "plotly.basedatatypes.BaseFigure": _plotly,
    "bokeh.models.Plot": _bokeh,
}
