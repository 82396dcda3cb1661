"""Render numpy arrays: shape, type, range and mean, and the values in their corners."""

from __future__ import annotations

import sys
from typing import Any

from orchat.rendering.data_privacy import Privacy
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import is_instance_by_name

_MAX_CELLS = 10_000_000  # the mean of more would be felt


def render_array(array: Any, budget: int, privacy: Privacy) -> Rendered:
    """Render a numpy array: shape, dtype, range and mean, and the values in its corners."""
    numpy = sys.modules["numpy"]
    text = f"numpy array, shape {array.shape}, dtype {array.dtype}"
    what = f"array of shape {array.shape}"
    if privacy == "schema" or not array.size:
        return Rendered.from_text(text, what, budget)
    if array.dtype.kind in "biuf" and array.size <= _MAX_CELLS:
        finite = array[numpy.isfinite(array)]
        if is_instance_by_name(array, "numpy.ma.MaskedArray"):
            finite = finite.compressed()
        if finite.size:
            text += (
                f"\nmin {float(finite.min()):.6g}, max {float(finite.max()):.6g}, mean {finite.mean(dtype=float):.6g}"
            )
        if finite.size < array.size:
            text += f", {array.size - finite.size:,} without a finite value"
    with numpy.printoptions(threshold=60, edgeitems=2, precision=6, suppress=True):
        corners = str(array)
    return Rendered.from_text(f"{text}\n{corners}", f"{what} and its corners", budget)
