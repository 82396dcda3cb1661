"""Figures and images become PNG, within the budget, without metadata."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.display import Image as DisplayedImage
from PIL import Image

from orchat.messages import ImageContent
from orchat.rendering import render, render_text, render_value

if TYPE_CHECKING:  # it is imported where it is used: each process of the tests collects this file
    from matplotlib.figure import Figure


@pytest.fixture(autouse=True, scope="module")
def without_a_window() -> None:
    import matplotlib as mpl

    mpl.use("agg")


def figure(**options: Any) -> Figure:
    from matplotlib.figure import Figure

    made = Figure(**options)
    first, second = made.subplots(1, 2)
    first.plot([1, 3, 2])
    first.set_title("Tides")
    second.bar(["a"], [1])
    made.suptitle("Hull")
    return made


def opened(value: Any, **options: Any) -> Image.Image:
    """Render to a picture and open it."""
    (part,) = render(value, **options)
    assert isinstance(part, ImageContent)
    assert part.mime_type == "image/png"
    return Image.open(io.BytesIO(base64.b64decode(part.base64_image)))


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_a_figure_is_drawn() -> None:
    picture = opened(figure())
    assert picture.size == (640, 480)
    assert len(picture.convert("RGB").getcolors(100_000) or []) > 10  # something is on it
    rendered = render_value(figure())
    assert rendered.summary("fig") == "fig: figure 'Hull', 'Tides', 640 x 480 pixels, 410 tokens"
    assert render_text(figure()) == "[figure 'Hull', 'Tides', 640 x 480 pixels]"


def test_axes_stand_for_their_figure() -> None:
    from matplotlib.figure import Figure

    made = figure()
    axes = np.array(made.axes, dtype=object)
    assert opened(axes).tobytes() == opened(made.axes[0]).tobytes() == opened(made).tobytes()
    inner = Figure()
    part = inner.subfigures(1, 2)[0]
    assert opened(part.subplots()).tobytes() == opened(part).tobytes() == opened(inner).tobytes()


def test_drawing_changes_nothing_about_the_figure() -> None:
    made = figure(dpi=300, figsize=(30, 20))
    assert max(opened(made).size) == 1024
    assert (made.dpi, tuple(made.get_size_inches())) == (300, (30, 20))


@pytest.mark.parametrize("options", [{"figsize": (200, 1)}, {"figsize": (0.5, 90)}, {"layout": "tight"}, {"dpi": 1000}])
def test_figures_of_any_shape_are_bounded(options: dict[str, Any]) -> None:
    assert max(opened(figure(figsize=options.pop("figsize", (6, 4)), dpi=options.pop("dpi", 100))).size) <= 1024


def test_a_tight_box_is_bounded_too() -> None:
    import matplotlib as mpl

    made = figure()
    made.text(8, 0.5, "far out")
    with mpl.rc_context({"savefig.bbox": "tight"}):
        rendered = render_value(made, budget=300)
    assert rendered.tokens <= 300


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_images_of_every_mode(mode: str) -> None:
    assert opened(Image.new(mode, (30, 20))).size == (30, 20)
    assert opened(Image.new(mode, (3000, 2000))).size == (1024, 682)


def test_a_photograph_is_upright_and_says_not_where_it_was_taken() -> None:
    photograph = Image.new("RGB", (40, 20), "red")
    exif = photograph.getexif()
    exif[0x0112] = 6  # held upright
    exif[0x010E] = "at home"
    buffer = io.BytesIO()
    photograph.save(buffer, "JPEG", exif=exif, comment="at home")
    for value in (Image.open(buffer), Image.open(buffer).resize((40, 20))):
        (part,) = render(value)
        assert isinstance(part, ImageContent)
        assert b"at home" not in base64.b64decode(part.base64_image)
    sent = opened(Image.open(buffer))
    assert (sent.size, dict(sent.getexif()), sent.info) == ((20, 40), {}, {})


def test_noise_is_made_small_enough_for_every_provider() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 4), dtype=np.uint8)
    (part,) = render(Image.fromarray(noise))
    assert isinstance(part, ImageContent)
    assert 1_000_000 < len(base64.b64decode(part.base64_image)) <= 3_000_000


def test_a_displayed_image_goes_out_as_it_is_and_a_large_one_smaller() -> None:
    data = png(300, 200)
    (part,) = render(DisplayedImage(data=data))
    assert isinstance(part, ImageContent)
    assert base64.b64decode(part.base64_image) == data
    assert opened(DisplayedImage(data=png(3000, 2000)), budget=100).size == (332, 221)
    assert opened(DisplayedImage(data=data, metadata={"width": 10})).size == (300, 200)
    buffer = io.BytesIO()
    Image.new("RGB", (30, 20)).save(buffer, "JPEG")
    (photograph,) = render(DisplayedImage(data=buffer.getvalue()))
    assert isinstance(photograph, ImageContent)
    assert photograph.mime_type == "image/jpeg"


def test_a_large_picture_without_pillow_is_named() -> None:
    program = f"""
import sys
from orchat.rendering import render_text
class Map:
    def _repr_png_(self): return {png(3000, 2000)!r}
print(render_text(Map(), budget=100))
assert "PIL" not in sys.modules
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.startswith("Map, ")
    assert "too large to send; after `import PIL.Image` it is made smaller" in said


@cache
def values() -> list[Any]:
    return [figure(), Image.new("RGB", (4000, 10)), Image.new("P", (500, 900)), DisplayedImage(data=png(800, 800))]


@settings(max_examples=25)
@given(st.integers(0, 3), st.integers(1, 700))
def test_any_picture_fits_any_budget(number: int, budget: int) -> None:
    rendered = render_value(values()[number], budget=budget)
    assert rendered.tokens <= budget
    assert "could not be rendered" not in rendered.text
