"""Secrets among the words that a person typed: they are named, and stay behind unless that person lets them go."""

from __future__ import annotations

from orchat.secrets import HIDDEN, redact


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
    from orchat.secrets.detection import find_secrets

    kinds = list(dict.fromkeys(found.what for found in find_secrets(text)))
    if not kinds:
        return text, None
    named = " and ".join(filter(None, [", ".join(kinds[:-1]), kinds[-1]]))
    return redact(text), f"that looks like {named}: it goes out as {HIDDEN}; {way_out}"
