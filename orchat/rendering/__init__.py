"""Render Python values as content parts for a model, bounded and without secrets, for tool results and prompts.

Libraries are never imported for it: a value of a library's type means that the library is loaded. All frames and series
are read by narwhals.
"""

from orchat.rendering.call_tool_result import is_call_tool_result
from orchat.rendering.data_privacy import Privacy
from orchat.rendering.question_parts import is_part, question_parts
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.token_budget import estimate_tokens, shorten_to_budget
from orchat.rendering.value_renderer import render, render_text, render_value

__all__ = [
    "Privacy",
    "Rendered",
    "estimate_tokens",
    "is_call_tool_result",
    "is_part",
    "question_parts",
    "render",
    "render_text",
    "render_value",
    "shorten_to_budget",
]
