"""The links of an answer's sources, whose addresses and titles come from a model and are untrusted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from orchat.chat.reply import Citation
from orchat.jupyter.kernel.output.untrusted_text import single_line

_ADDRESS = re.compile(r'[^\x00-\x20<>"`\\\x7f-\xa0\u2028\u2029]+')
_LONGEST = 500  # characters
_MOST_SOURCES = 12
_MARKUP = str.maketrans({each: f"%{ord(each):02X}" for each in "()[]$|"})


def is_link(url: str) -> bool:
    """Return whether a text is an http(s) URL, and nothing else.

    Examples
    --------
    >>> is_link("https://example.org/a?b=(c)"), is_link("javascript:alert(1)"), is_link("https://")
    (True, False, False)
    """
    if len(url) >= _LONGEST or not url.isprintable() or _ADDRESS.fullmatch(url) is None:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def link_titles(citations: Iterable[Citation], earlier: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the titles of the cited sources by their URLs, of each once: the first twelve, earlier ones included.

    Examples
    --------
    >>> link_titles([Citation("https://example.org/tides", "Tides"), Citation("https://example.org/tides"),
    ...              Citation("https://harbour.example/a"), Citation("javascript:alert(1)", "x")])
    {'https://example.org/tides': 'Tides', 'https://harbour.example/a': 'harbour.example'}
    """
    titles = dict(earlier or {})
    for citation in citations:
        if is_link(citation.url) and len(titles) < _MOST_SOURCES:
            titles.setdefault(citation.url, single_line(citation.title or "", 80) or urlsplit(citation.url).netloc)
    return titles


def markdown_address(url: str) -> str:
    """Return a link's URL as it may stand within Markdown: what could be markup or a formula is escaped.

    Examples
    --------
    >>> markdown_address("https://example.org/Hull_(port)")
    'https://example.org/Hull_%28port%29'
    """
    return url.translate(_MARKUP)
