"""A Python value as content parts for a model: used by tool results and by values in prompts alike.

Libraries are never imported for it: a value of a library's type means that the library is loaded.
"""

from orchat.rendering.result import Rendered
from orchat.rendering.tables import Privacy
from orchat.rendering.tokens import estimate_tokens, shorten
from orchat.rendering.value import render, render_text, render_value

__all__ = ["Privacy", "Rendered", "estimate_tokens", "render", "render_text", "render_value", "shorten"]
