"""The MIME bundle of an image from a model, which every viewer shows and which loads nothing."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.messages import ImageContent

# The first bytes of each type, as a declared type may be wrong. SVG may hold scripts and is not shown.
_SIGNATURES = {
    "image/png": b"\x89PNG\r\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}
PICTURE_TYPES = tuple(_SIGNATURES)


def image_bundle(image: ImageContent) -> dict[str, str] | None:
    """Return the MIME bundle of an image; None where its type is not one of PNG, JPEG and GIF.

    Examples
    --------
    >>> from orchat.messages import ImageContent
    >>> image_bundle(ImageContent("R0lGODlhAQABAAAAACw=", mime_type="image/gif"))
    {'image/gif': 'R0lGODlhAQABAAAAACw=', 'text/plain': '<image/gif, 14 bytes>'}
    """
    data = getattr(image, "base64_image", None)
    try:
        content = base64.b64decode(data or "", validate=True)
    except (binascii.Error, ValueError):
        return None
    for kind, signature in _SIGNATURES.items():
        if content.startswith(signature):
            return {kind: str(data), "text/plain": f"<{kind}, {len(content):,} bytes>"}
    return None
