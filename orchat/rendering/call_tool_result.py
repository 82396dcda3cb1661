"""Render the result of an MCP tool: the SDK's ``CallToolResult``, also where a function of one's own returns it.

Texts, pictures and files become parts. Structured content is added as JSON unless a text says the same. Nothing is
fetched: a link to a resource is told as text.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, FileContent, TextContent
from orchat.rendering.images import render_encoded
from orchat.rendering.plain_data import render_plain
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.token_budget import Part, estimate_tokens

_MOST_BLOCKS = 64
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_PICTURE_BUDGET = 2_000
_SOUNDS = {
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/mp3": "mp3",
    "audio/mp4": "m4a",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
    "audio/vnd.wave": "wav",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
}
_TEXTS = frozenset({"application/json", "application/xml", "application/yaml", "image/svg+xml"})
_MOST_BYTES = 15_000_000


def is_call_tool_result(value: object) -> bool:
    """Whether a value is the SDK's ``CallToolResult``.

    Examples
    --------
    >>> is_call_tool_result({"content": []})
    False
    """
    kind = getattr(sys.modules.get("mcp_types"), "CallToolResult", None)
    return isinstance(kind, type) and issubclass(type(value), kind)


def render_call_tool_result(result: Any, budget: int) -> Rendered:
    """Render a result; its texts share the budget, a picture is made smaller if it is large."""
    parts: list[Part] = []
    blocks = list(result.content)
    left = budget
    for block in blocks[:_MOST_BLOCKS]:
        rendered = _render_block(block, max(left, 32))
        parts += rendered
        left -= sum(estimate_tokens(part) for part in rendered if isinstance(part, TextContent))
    if len(blocks) > _MOST_BLOCKS:
        parts.append(TextContent(f"[... {len(blocks) - _MOST_BLOCKS:,} more parts left out ...]"))
    structured = result.structured_content
    if structured is not None and not _is_told(structured, [part.text for part in blocks if part.type == "text"]):
        parts += render_plain(structured, max(left, 32)).parts
    return Rendered(parts or [TextContent("")], "result of an MCP tool")


def _is_told(structured: Any, texts: list[str]) -> bool:
    """Whether texts say what structured content says: as JSON, or bare where it is wrapped as ``{"result": ...}``."""
    forms = [structured]
    if isinstance(structured, dict) and list(structured) == ["result"]:
        inner = structured["result"]
        if isinstance(inner, str) and inner in texts:
            return True
        if isinstance(inner, list) and len(inner) == len(texts) and [*map(_parsed, texts)] == inner:
            return True
        forms.append(inner)
    return any(_parsed(text) in forms for text in texts)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _render_block(block: Any, budget: int) -> list[Part]:
    match block.type:
        case "text":
            return list(Rendered.from_text(block.text, "text", budget).parts)
        case "image":
            return _render_media(block.data, block.mime_type, "image", budget)
        case "audio":
            return _render_media(block.data, block.mime_type, "audio", budget)
        case "resource":
            try:
                return _render_resource(block.resource, budget)
            except ValueError as error:  # damaged base64, an address that is none
                note = f"[resource {block.resource.uri}, which cannot be read: {error}]"
                return list(Rendered.from_text(note, "name of a part", budget).parts)
        case "resource_link":
            return list(Rendered.from_text("\n".join(_link_lines(block)), "link to a resource", budget).parts)
    return list(Rendered.from_text(f"[a part of the type {block.type}]", "name of a part", budget).parts)


def _link_lines(link: Any) -> Iterator[str]:
    about = ", ".join(filter(None, (link.mime_type, None if link.size is None else f"{link.size:,} bytes")))
    yield f"[resource {link.uri}: {link.title or link.name}{f' ({about})' if about else ''}]"
    if link.description:
        yield link.description


def _render_resource(resource: Any, budget: int) -> list[Part]:
    uri, kind = str(resource.uri), resource.mime_type or "application/octet-stream"
    text = getattr(resource, "text", None)
    if text is None and (kind.startswith("text/") or kind.partition(";")[0] in _TEXTS):
        text = base64.b64decode(resource.blob).decode("utf-8", "replace")
    if text is not None:
        return list(Rendered.from_text(f"[resource {uri}]\n{text}", "resource", budget).parts)
    return _render_media(resource.blob, kind, f"resource {uri}", budget, PurePosixPath(urlsplit(uri).path).name)


def _render_media(data: str, mime_type: str, words: str, budget: int, name: str = "") -> list[Part]:
    """Return a picture, sound or document; a note for anything else, and for what is damaged or too large."""
    kind = mime_type.partition(";")[0].strip().lower()
    try:
        size = len(base64.b64decode(data, validate=True))
        if kind in _PICTURES:
            return list(render_encoded(data, kind, max(budget, _PICTURE_BUDGET), words).parts)
        if size <= _MOST_BYTES and kind in _SOUNDS:
            return [AudioContent(data, _SOUNDS[kind])]
        if size <= _MOST_BYTES and kind == "application/pdf":
            return [FileContent(data, kind, filename=name or "document.pdf")]
        text = f"[{words}, {mime_type}, {size:,} bytes: models do not take it]"
    except (ConfigurationError, ValueError, OSError) as error:
        text = f"[{words}, {mime_type}, which cannot be read: {error}]"
    return list(Rendered.from_text(text, "name of a part", budget).parts)
