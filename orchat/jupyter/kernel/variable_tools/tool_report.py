"""What a model is told of a value or of what code did: text under headings, and a few pictures, bounded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from orchat.configuration import KEY_VARIABLE, setting
from orchat.messages import ImageContent, TextContent
from orchat.messages.parts import ResultContent
from orchat.rendering import Rendered, render_value, shorten_to_budget
from orchat.secrets import redact

NOTHING: Any = object()
"""The value of code that has none."""

# A tool's result that is text may take 8,000 tokens, and 2,000 if pictures are among it (`orchat.rendering`).
_BUDGET, _PART_BUDGET = 4_000, 2_000
_EACH = 1_500
_MOST_PICTURES = 3


class ReportSection(NamedTuple):
    """One thing to tell.

    Parameters
    ----------
    heading
        What it is.
    value
        The thing.
    is_text
        Whether it is text to be told as it is, rather than a value to be rendered.
    """

    heading: str
    value: Any
    is_text: bool = False


def build_report(pieces: Sequence[ReportSection], *, only_text: bool = False) -> ResultContent:
    r"""Return pieces as a tool's result.

    Parameters
    ----------
    pieces
        What to tell, in order.
    only_text
        Whether to name pictures only.

    Examples
    --------
    >>> build_report([ReportSection("Printed", "high water", is_text=True), ReportSection("Value", {"tons": 40})])
    'Printed:\nhigh water\n\nValue:\n{"tons": 40}'
    >>> build_report([])
    'Done. Nothing was printed, and there is no value.'
    """
    told: list[str] = []
    pictures: list[ImageContent] = []
    for piece in pieces:
        rendered = rendered_section(piece)
        here = [part for part in rendered.parts if isinstance(part, ImageContent)]
        if here and not only_text and len(pictures) < _MOST_PICTURES:
            pictures += here
            text = "\n".join(part.text for part in rendered.parts if isinstance(part, TextContent)) or rendered.what
        else:
            text = rendered.text
        told.append(f"{piece.heading}:\n{text.rstrip()}" if piece.heading else text)
    if not told:
        return "Done. Nothing was printed, and there is no value."
    share = _PART_BUDGET // (len(pictures) + 1) if pictures else _BUDGET
    text = shorten_to_budget(redact("\n\n".join(told), os.environ.get(KEY_VARIABLE, "")), share, redacted=True)
    return [TextContent(text), *pictures] if pictures else text


def rendered_section(piece: ReportSection) -> Rendered:
    """Render one thing; nothing of it was typed by the user, so secrets are hidden in text as well."""
    if piece.is_text or isinstance(piece.value, str):
        return Rendered.from_text(str(piece.value), "text", _EACH)
    return render_value(piece.value, budget=_EACH, privacy=setting("privacy"))
