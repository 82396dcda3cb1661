"""Secrets in what a person sends: they are named, and stay behind unless that person lets them go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from orchat.messages import TextContent
from orchat.secrets import HIDDEN, redact

PartT = TypeVar("PartT")

_MOST_NAMED = 5


def secret_kinds(text: str) -> list[str]:
    """Return what the secrets in a text look like, each kind once.

    Examples
    --------
    >>> secret_kinds("Is AKIAIOSFODNN7EXAMPLE a key?")
    ['an AWS access key']
    """
    from orchat.secrets.detection import find_secrets

    return list(dict.fromkeys(found.what for found in find_secrets(text)))


def hide_typed_secrets(text: str, way_out: str) -> tuple[str, str | None]:
    """Return a text without its secrets, and one line that names them; None where there are none.

    Parameters
    ----------
    text
        What was typed.
    way_out
        How to send it all the same, as the end of the line.

    Examples
    --------
    >>> hide_typed_secrets("Is AKIAIOSFODNN7EXAMPLE a key?", "--allow-secrets sends it")
    ('Is [redacted] a key?', 'that looks like an AWS access key: it goes out as [redacted]; --allow-secrets sends it')
    """
    kinds = secret_kinds(text)
    if not kinds:
        return text, None
    return redact(text), f"that looks like {_joined(kinds)}: it goes out as {HIDDEN}; {way_out}"


def hide_secrets_of_file(part: PartT, name: str, way_out: str) -> tuple[PartT, str | None]:
    """Return the part of a file without its secrets, and one line that names them; only texts are looked into.

    Parameters
    ----------
    part
        From `orchat.rendering.attachments.attachment`.
    name
        The name of the file.
    way_out
        How to send it all the same, as the end of the line.

    Examples
    --------
    >>> hide_secrets_of_file(TextContent("AKIAIOSFODNN7EXAMPLE"), ".env", "--allow-secrets sends it")[1]
    '.env holds what looks like an AWS access key: it goes out as [redacted]; --allow-secrets sends it'
    """
    if not (kinds := secret_kinds_of_part(part)):
        return part, None
    return without_secrets(part), f"{secret_line(name, kinds)}; {way_out}"


def secret_kinds_of_part(part: object) -> list[str]:
    """Return what the secrets in a part look like; only texts are looked into."""
    return secret_kinds(part.text) if isinstance(part, TextContent) else []


def without_secrets(part: PartT) -> PartT:
    """Return a part with its text redacted."""
    return replace(part, text=redact(part.text)) if isinstance(part, TextContent) else part


def secret_line(name: str, kinds: Iterable[str]) -> str:
    """Return a line that names the secrets in something; of many kinds only the first ones.

    Examples
    --------
    >>> secret_line("Your message", ["a private key", "a cookie"])
    'Your message holds what looks like a private key and a cookie: it goes out as [redacted]'
    """
    return f"{name} holds what looks like {_joined(kinds)}: it goes out as {HIDDEN}"


def _joined(kinds: Iterable[str]) -> str:
    kinds = list(kinds)
    if len(kinds) > _MOST_NAMED:
        kinds = [*kinds[: _MOST_NAMED - 1], f"{len(kinds) - _MOST_NAMED + 1} more"]
    return " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
