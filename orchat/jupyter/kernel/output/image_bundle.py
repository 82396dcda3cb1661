"""A picture that a model made, as an output that every viewer shows and that loads nothing."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.messages import ImageContent

# What a picture of each kind begins with: a label is easily wrong. Drawings (SVG) may hold scripts and are not shown.
_BEGINNINGS = {
    "image/png": b"\x89PNG\r\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}


def picture_bundle(image: ImageContent) -> dict[str, str] | None:
    """Return the output that shows a picture; None where it is none that every viewer knows.

    Examples
    --------
    >>> from orchat.messages import ImageContent
    >>> picture_bundle(ImageContent("R0lGODlhAQABAAAAACw=", mime_type="image/gif"))
    {'image/gif': 'R0lGODlhAQABAAAAACw=', 'text/plain': '<image/gif, 14 bytes>'}
    """
    data = getattr(image, "base64_image", None)
    try:
        content = base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    for kind, beginning in _BEGINNINGS.items():
        if content.startswith(beginning):
            return {kind: str(data), "text/plain": f"<{kind}, {len(content):,} bytes>"}
    return None
