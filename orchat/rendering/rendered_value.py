"""`Rendered`: the content parts that stand for a value, and one line about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchat.messages import ImageContent, TextContent
from orchat.rendering.token_estimate import Part, estimate_tokens, fits_budget, shorten_to_budget
from orchat.secrets import HIDDEN


@dataclass(frozen=True)
class Rendered:
    """What a value became for a model.

    Parameters
    ----------
    parts
        Text, images and files, in order.
    what
        What they are, in a few words.

    Examples
    --------
    >>> Rendered([TextContent("0.3")], "float").summary("level")
    'level: float, 1 token'
    """

    parts: Sequence[Part]
    what: str

    @classmethod
    def from_text(cls, text: str, what: str, budget: int, *, typed: bool = False) -> Rendered:
        """Make text fit, say what was done to it, and hide secrets unless a person ``typed`` it."""
        if not text.isascii():  # half a surrogate pair is no character and cannot be sent
            text = text.encode("utf-8", "replace").decode()
        sent = shorten_to_budget(text, budget, redacted=not typed)
        if not fits_budget(text, budget):
            what += f", cut from {len(text):,} characters"
        if not typed and HIDDEN in sent:
            what += ", secrets redacted"
        return cls([TextContent(sent)], what)

    @property
    def tokens(self) -> int:
        """An estimate of what the parts take."""
        return sum(estimate_tokens(part) for part in self.parts)

    @property
    def text(self) -> str:
        """The parts as text, with a few words in brackets where an image or a file stands."""
        return "\n".join(part.text if isinstance(part, TextContent) else f"[{_label(part)}]" for part in self.parts)

    def summary(self, name: str = "") -> str:
        """Say in one line what was sent.

        Parameters
        ----------
        name
            What the user calls the value.
        """
        tokens = self.tokens
        said = f"{self.what}, {tokens:,} token{'' if tokens == 1 else 's'}"
        return f"{name}: {said}" if name else said


def _label(part: Part) -> str:
    if isinstance(part, ImageContent):
        return str(part.meta.get("description") or part.url or "image")
    return getattr(part, "filename", None) or "file"
