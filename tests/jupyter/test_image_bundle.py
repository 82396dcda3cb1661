"""Pictures and sources that a model gives: shown where they are ones, and nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from orchat.jupyter.kernel.output.image_bundle import image_bundle
from orchat.jupyter.kernel.output.mime_types import read_extras
from orchat.messages import ImageContent
from tests.jupyter.kernel import Kernel
from tests.jupyter.test_magic_options import ask
from tests.openrouter_server import PNG, ScriptedOpenRouter, text, url_citation


def picture(kind: str) -> str:
    made = BytesIO()
    Image.new("RGB", (4, 3), "teal").save(made, kind)
    return base64.b64encode(made.getvalue()).decode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
@pytest.mark.parametrize("label", ["image/png", "image/gif", "image/svg+xml", None])
def test_a_picture_is_shown_as_what_it_is_whatever_its_label(kind: str, label: str | None) -> None:
    data = picture(kind)
    bundle = image_bundle(ImageContent(data, mime_type=label))
    assert bundle == {
        f"image/{kind.lower()}": data,
        "text/plain": f"<image/{kind.lower()}, {len(base64.b64decode(data))} bytes>",
    }


@pytest.mark.parametrize(
    "data",
    [
        "",
        "no base64!",
        base64.b64encode(b"<svg onload=alert(1)>").decode(),
        base64.b64encode(b"<html>").decode(),
        base64.b64encode(b"RIFF0000WEBP").decode(),
    ],
)
def test_what_is_no_picture_of_a_known_kind_is_not_shown(data: str) -> None:
    assert image_bundle(ImageContent(data, mime_type="image/png", validation=False)) is None


def test_a_picture_from_elsewhere_is_not_shown() -> None:
    assert image_bundle(ImageContent.from_url("https://example.org/a.png")) is None


@pytest.mark.slow
def test_pictures_and_sources_of_an_answer_are_shown(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    links: list[dict[str, Any]] = [
        url_citation("https://example.org/tides", title="Tides *here*"),
        url_citation("https://example.org/tides", title="Again"),
        url_citation("javascript:alert(1)", title="x"),
        url_citation("https://example.org/no-title", title=""),
    ]
    endpoint.answers(text("Look.", images=[PNG, "https://example.org/remote.png"], annotations=links))
    ended = ask(kernel, "%%openrouter -o reply\nDraw.")
    *_, answer, drawn, below = ended.bundles
    assert "SomeProvider" in below["text/plain"]
    assert "SomeProvider" not in answer["text/plain"]
    extras, details = map(read_extras, (answer, below))
    assert extras is not None
    assert details is not None
    assert (extras["footer"], details["parts"][0][0], "turn" in details) == ("below", "footer", False)
    assert extras["usage"] == details["usage"]
    assert drawn["image/png"] == PNG.partition(",")[2]
    assert (
        "\n\nSources: [Tides \\*here\\*](https://example.org/tides), [example.org](https://example.org/no-title)"
        in answer["text/markdown"]
    )
    assert "remote.png" not in answer["text/markdown"]
    assert kernel.value("len(reply.citations)") == "4"
    # They can be spoken of; what is kept of the turn names the picture, which its output holds.
    assert PNG.partition(",")[2] not in json.dumps(answer)
    assert {"image/png", "text/plain"} == set(drawn)
    endpoint.answers(text("Fine."))
    assert ask(kernel, "%%openrouter\nAnd?").status == "ok"
