"""Render figures and images as PNG parts within the budget, without a photograph's metadata."""

from __future__ import annotations

import base64
import math
import sys
from io import BytesIO
from typing import Any

from orchat.messages import ImageContent
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import is_instance_by_name
from orchat.rendering.token_budget import PIXELS_PER_TOKEN, estimate_tokens, png_size

_MAX_SIDE = 1024
_MAX_BYTES = 3_000_000  # what every provider takes
_MIN_TOKENS = 8  # a picture of fewer pixels than these pay for shows nothing
# How cameras say which way up a photograph is, as pillow's names for the way back.
_EXIF_TRANSPOSE = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}


def figure_of(value: Any) -> Any:
    """Return the matplotlib figure that a figure, axes or array of axes belongs to; None for anything else."""
    if is_instance_by_name(value, "numpy.ndarray") and value.dtype == object and value.size:
        value = value.flat[0]
    if is_instance_by_name(value, "matplotlib.figure.Figure"):
        return value
    if is_instance_by_name(value, "matplotlib.axes.Axes", "matplotlib.figure.SubFigure"):
        while value is not None and not is_instance_by_name(value, "matplotlib.figure.Figure"):
            value = value.figure
        return value
    return None


def render_figure(figure: Any, budget: int) -> Rendered:
    """Render a matplotlib figure, with fewer dots per inch if it is large."""
    axes = figure.get_axes()
    titles = [title for title in (figure.get_suptitle(), *(axis.get_title() for axis in axes)) if title]
    words = f"figure {', '.join(map(repr, titles))}" if titles else f"figure with {len(axes)} axes"
    if budget < _MIN_TOKENS:
        return Rendered.from_text(words, "name of a figure", budget)
    width, height = figure.get_size_inches()
    dpi = figure.dpi * min(1.0, _scale(width * figure.dpi, height * figure.dpi, budget))
    data = _draw(figure, dpi)
    size = png_size(data) or (1, 1)
    scale = _scale(size[0], size[1], budget)
    if scale < 1 or len(data) > _MAX_BYTES:  # a tight layout has a size of its own
        data = _draw(figure, dpi * min(scale, 0.5 if len(data) > _MAX_BYTES else 1))
    return _to_image_part(data, words, budget)


def _draw(figure: Any, dpi: float) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def render_image(image: Any, budget: int, words: str = "image") -> Rendered:
    """Render a pillow image upright, without its metadata, scaled down if it is large."""
    if budget < _MIN_TOKENS:
        return Rendered.from_text(words, "name of an image", budget)
    turn = _EXIF_TRANSPOSE.get(image.getexif().get(0x0112, 1))
    modes = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "P": "RGBA", "PA": "RGBA", "I;16": "I;16"}
    copy = image.convert(modes.get(image.mode, "RGB"))
    if turn is not None:
        copy = copy.transpose(turn)
    copy.info = {}
    scale = min(1.0, _scale(copy.width, copy.height, budget))
    while True:
        size = tuple(max(1, int(side * scale)) for side in copy.size)
        buffer = BytesIO()
        (copy if size == copy.size else copy.resize(size)).save(buffer, "PNG")
        if buffer.tell() <= _MAX_BYTES:
            return _to_image_part(buffer.getvalue(), words, budget)
        scale *= 0.7


def render_encoded(data: bytes | str, mime_type: str, budget: int, words: str) -> Rendered:
    """Render an encoded image, given as a file's bytes or their base64 text."""
    raw = base64.b64decode(data) if isinstance(data, str) else bytes(data)
    image = ImageContent(base64.b64encode(raw).decode(), mime_type, meta={"description": words})
    if len(raw) <= _MAX_BYTES and estimate_tokens(image) <= budget:
        return Rendered([image], words)
    pillow = sys.modules.get("PIL.Image")
    if pillow is None:
        return Rendered.from_text(
            f"{words}, {len(raw):,} bytes, too large to send; after `import PIL.Image` it is made smaller",
            "name of an image",
            budget,
        )
    with pillow.open(BytesIO(raw)) as opened:
        return render_image(opened, budget, words)


def _scale(width: float, height: float, budget: int) -> float:
    """Return the factor that scales an image to the limits of side and budget."""
    # A hair less than the whole budget: the sides are rounded to whole pixels.
    area = (budget - 2) * PIXELS_PER_TOKEN
    return min(_MAX_SIDE / max(width, height, 1), math.sqrt(area / max(width * height, 1)))


def _to_image_part(png: bytes, words: str, budget: int) -> Rendered:
    width, height = png_size(png) or (0, 0)
    description = f"{words}, {width} x {height} pixels"
    image = ImageContent(base64.b64encode(png).decode(), "image/png", meta={"description": description})
    if estimate_tokens(image) > budget:
        return Rendered.from_text(description, "name of an image", budget)
    return Rendered([image], description)
