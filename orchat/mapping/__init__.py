"""Columns: a model is asked about each row of a table, with an exact bill, limits that hold, and nothing paid twice."""

from orchat.mapping.column_map import map, map_async  # noqa: A004 - that is what it does
from orchat.mapping.decision_map import Decision, decide
from orchat.mapping.map_estimate import MapEstimate
from orchat.mapping.map_result import MapInterruptedError, MapResult

__all__ = ["Decision", "MapEstimate", "MapInterruptedError", "MapResult", "decide", "map", "map_async"]
