"""Render objects by their IPython display methods (``_repr_markdown_``, ``_repr_png_`` ...) or ``repr``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

from orchat.rendering.images import render_encoded
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import own_method, safe_repr, type_name

_IMAGE_TYPES = ("image/png", "image/jpeg")
_EMPTY_REPR = re.compile(r"<[^<>]* object(?: at \w+)?>")  # only the class's name


def render_display(value: Any, budget: int) -> Rendered:
    """Render by ``_repr_markdown_``, an image, the MIME bundle or ``repr``; by HTML only if there is nothing else."""
    name = type_name(value)
    if markdown := _call_display_method(value, "_repr_markdown_"):
        return Rendered.from_text(str(markdown), f"Markdown of {name}", budget)
    for method, mime_type in (("_repr_png_", "image/png"), ("_repr_jpeg_", "image/jpeg")):
        if image := _call_display_method(value, method):
            return render_encoded(image, mime_type, budget, name)
    bundle = _call_display_method(value, "_repr_mimebundle_", include=None, exclude=None)
    bundle = bundle if isinstance(bundle, Mapping) else {}
    for mime_type in _IMAGE_TYPES:
        if image := bundle.get(mime_type):
            return render_encoded(image, mime_type, budget, name)
    plain = bundle.get("text/plain")
    for text in (bundle.get("text/markdown"), plain if plain and not _EMPTY_REPR.fullmatch(plain) else None):
        if text:
            return Rendered.from_text(str(text), f"display of {name}", budget)
    repr_text = safe_repr(value)
    if _EMPTY_REPR.fullmatch(repr_text):
        for text in (_call_display_method(value, "_repr_latex_"), bundle.get("text/latex")):
            if text:
                return Rendered.from_text(str(text), f"formula of {name}", budget)
        for markup in (
            _call_display_method(value, "_repr_html_"),
            bundle.get("text/html"),
            _call_display_method(value, "_repr_svg_"),
        ):
            if markup and (text := _TextExtractor(str(markup)).text):
                return Rendered.from_text(text, f"text of the HTML of {name}", budget)
    return Rendered.from_text(repr_text, f"repr of {name}", budget)


def _call_display_method(value: object, method: str, **options: object) -> Any:
    """Call a display method, and return its data; None where it is missing or raises."""
    try:
        found = own_method(value, method)
        data = None if found is None else found(**options)
    except Exception:  # noqa: BLE001 - anybody's code
        return None
    return data[0] if isinstance(data, tuple) and data else data  # (data, metadata)


class _TextExtractor(HTMLParser):
    """Extracts the text of HTML, without tags, scripts and styles."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self._texts: list[str] = []
        self._hidden = 0
        self.feed(markup)
        self.close()

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in {"script", "style"}))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._texts.append(data)
