"""`Rendered`: the content parts of a rendered value, and a one-line summary of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchat.messages import ImageContent, TextContent
from orchat.rendering.token_budget import Part, estimate_tokens, fits_budget, shorten_to_budget
from orchat.secrets import HIDDEN


@dataclass(frozen=True)
class Rendered:
    """A value, rendered for a model.

    Parameters
    ----------
    parts
        Text, images and files, in order.
    what
        A short description of them.

    Examples
    --------
    >>> Rendered([TextContent("0.3")], "float").summary("level")
    'level: float, 1 token'
    """

    parts: Sequence[Part]
    what: str

    @classmethod
    def from_text(cls, text: str, what: str, budget: int, *, allow_secrets: bool = False) -> Rendered:
        """Render text within a budget of tokens, with secrets redacted unless they are allowed."""
        if not text.isascii():  # half a surrogate pair is no character and cannot be sent
            text = text.encode("utf-8", "replace").decode()
        sent = shorten_to_budget(text, budget, redacted=not allow_secrets)
        if not fits_budget(text, budget):
            what += f", cut from {len(text):,} characters"
        if not allow_secrets and HIDDEN in sent:
            what += ", secrets redacted"
        return cls([TextContent(sent)], what)

    @property
    def tokens(self) -> int:
        """The estimated number of tokens of the parts."""
        return sum(estimate_tokens(part) for part in self.parts)

    @property
    def text(self) -> str:
        """The parts as text, with a description in brackets for an image or a file."""
        return "\n".join(part.text if isinstance(part, TextContent) else f"[{_label(part)}]" for part in self.parts)

    def summary(self, name: str = "") -> str:
        """Summarize the parts and their tokens in one line.

        Parameters
        ----------
        name
            The user's name for the value.
        """
        tokens = self.tokens
        summary_text = f"{self.what}, {tokens:,} token{'' if tokens == 1 else 's'}"
        return f"{name}: {summary_text}" if name else summary_text


def _label(part: Part) -> str:
    if isinstance(part, ImageContent):
        return str(part.meta.get("description") or part.url or "image")
    return getattr(part, "filename", None) or "file"
