"""Formats of an answer: Markdown, literal text, JSON, and code for the next cell. Pure."""

from __future__ import annotations

import json
import re

from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters

FORMATS = ("markdown", "text", "code", "json")

CODE_WANTED = "Answer with the Python code of one notebook cell, in one fenced code block."
"""The instruction to the model for the ``code`` format."""

_FENCE_LINE = re.compile(r" {0,3}(?P<run>`{3,}+|~{3,}+)[ \t]*+(?P<language>[\w+#.-]*+)[^\n`]*+")
_PYTHON = frozenset({"", "python", "python3", "py", "ipython", "ipython3"})


def render_as(answer_format: str, text: str) -> str:
    r"""Render a text as safe Markdown, in one of the `FORMATS`.

    Examples
    --------
    >>> render_as("text", "*a* < b")
    '```text\n*a* < b\n```'
    >>> print(render_as("json", '{"name": "Ada", "age": 36}'))
    ```json
    {
      "name": "Ada",
      "age": 36
    }
    ```
    """
    if answer_format == "json":
        return _fenced_block(pretty_json(text), "json") if text else ""
    if answer_format == "text":
        return _fenced_block(text, "text") if text else ""
    return safe_markdown(text)


def pretty_json(text: str) -> str:
    """Return JSON with one item a line; any other text as it is, such as incomplete JSON."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def cell_code(text: str) -> str | None:
    r"""Return the fenced Python code of an answer, for a new cell; None where there is none.

    Examples
    --------
    >>> cell_code("First:\n```python\nx = 1\n```\nThen:\n```py\nprint(x)\n```\nIn a shell:\n```sh\nls\n```")
    'x = 1\n\nprint(x)'
    """
    blocks: list[str] = []
    run = ""
    lines: list[str] | None = None
    for line in escape_control_characters(text).splitlines():
        if run and line.strip().startswith(run) and not line.strip().strip(run[0]):
            if lines is not None:
                blocks.append("\n".join(lines).strip("\n"))
            run = ""
        elif run:
            if lines is not None:
                lines.append(line)
        elif fence := _FENCE_LINE.fullmatch(line):
            run, lines = fence["run"], [] if fence["language"].lower() in _PYTHON else None
    return "\n\n".join(filter(None, blocks)) or None


def _fenced_block(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return safe_markdown(f"{fence}{language}\n{text}\n{fence}").strip("\n")
