"""The forms in which an answer is shown: Markdown, literal text, JSON, and code for the next cell. Pure."""

from __future__ import annotations

import json
import re

from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from orchat.jupyter.kernel.output.text_escaping import escape_control_characters

FORMATS = ("markdown", "text", "code", "json")

CODE_WANTED = "Answer with the Python code of one notebook cell, in one fenced code block."
"""What a model is told when its answer is to be a cell."""

_FENCE = re.compile(r" {0,3}(?P<run>`{3,}|~{3,})[ \t]*(?P<language>[\w+#.-]*)[^\n`]*")
_PYTHON = frozenset({"", "python", "python3", "py", "ipython", "ipython3"})


def render_as(form: str, text: str) -> str:
    r"""Return a text as Markdown that is safe to show, in one of the `FORMATS`.

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
    if form == "json":
        return _block(pretty_json(text), "json") if text else ""
    if form == "text":
        return _block(text, "text") if text else ""
    return safe_markdown(text)


def pretty_json(text: str) -> str:
    """Return JSON with one item a line; anything else as it is, such as JSON that is still on its way."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def cell_code(text: str) -> str | None:
    r"""Return the code of an answer that may become a cell: its fenced Python; None where there is none.

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
        elif fence := _FENCE.fullmatch(line):
            run, lines = fence["run"], [] if fence["language"].lower() in _PYTHON else None
    return "\n\n".join(filter(None, blocks)) or None


def _block(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return safe_markdown(f"{fence}{language}\n{text}\n{fence}").strip("\n")
