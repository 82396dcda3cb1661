"""Build the result of a kernel tool: text under headings and a few pictures, bounded."""

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
_SECTION_BUDGET = 1_500
_MOST_PICTURES = 3


class ReportSection(NamedTuple):
    """A section of a report.

    Parameters
    ----------
    heading
        The heading; an empty one is left out.
    value
        The content.
    is_text
        Whether the content is a text as it is, rather than a value to render.
    """

    heading: str
    value: Any
    is_text: bool = False


def build_report(sections: Sequence[ReportSection], *, only_text: bool = False) -> ResultContent:
    r"""Return sections as a tool's result.

    Parameters
    ----------
    sections
        The sections in order.
    only_text
        Whether pictures are replaced by their descriptions.

    Examples
    --------
    >>> build_report([ReportSection("Printed", "high water", is_text=True), ReportSection("Value", {"tons": 40})])
    'Printed:\nhigh water\n\nValue:\n{"tons": 40}'
    >>> build_report([])
    'Done. Nothing was printed, and there is no value.'
    """
    texts: list[str] = []
    pictures: list[ImageContent] = []
    for section in sections:
        rendered = render_section(section)
        here = [part for part in rendered.parts if isinstance(part, ImageContent)]
        if here and not only_text and len(pictures) < _MOST_PICTURES:
            pictures += here
            text = "\n".join(part.text for part in rendered.parts if isinstance(part, TextContent)) or rendered.what
        else:
            text = rendered.text
        texts.append(f"{section.heading}:\n{text.rstrip()}" if section.heading else text)
    if not texts:
        return "Done. Nothing was printed, and there is no value."
    share = _PART_BUDGET // (len(pictures) + 1) if pictures else _BUDGET
    text = shorten_to_budget(redact("\n\n".join(texts), os.environ.get(KEY_VARIABLE, "")), share, redacted=True)
    return [TextContent(text), *pictures] if pictures else text


def render_section(section: ReportSection) -> Rendered:
    """Render one section, without secrets."""
    if section.is_text:
        return Rendered.from_text(str(section.value), "text", _SECTION_BUDGET)
    return render_value(section.value, budget=_SECTION_BUDGET, privacy=setting("privacy"))
