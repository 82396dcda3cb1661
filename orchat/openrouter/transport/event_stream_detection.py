"""Detect texts that are event streams, whatever their content type says."""

from __future__ import annotations

from orchat.messages.lenient_json import BLANKS

EVENT_STREAM = "text/event-stream"
# The fields of an event stream (a comment is one without a name).
EVENT_FIELDS = (":", "data:", "event:", "id:", "retry:")


def looks_like_events(text: str) -> bool:
    """Whether a text starts like an event stream, regardless of its content type.

    Examples
    --------
    >>> looks_like_events(": OPENROUTER PROCESSING"), looks_like_events('{"choices": []}')
    (True, False)
    """
    return text.lstrip(BLANKS).startswith(EVENT_FIELDS)
