"""What reads text from outside takes as long as the text is, however hostile: whole functions, 100,000 characters."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from IPython.core.error import UsageError

from orchat.jupyter.kernel.live_view.markdown_blocks import split_blocks
from orchat.jupyter.kernel.live_view.markdown_html import to_html
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.answer_formats import cell_code, render_as
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.magic.line_tokenizer import split_prompt
from orchat.jupyter.magic.magics import keep_prompt_verbatim
from orchat.messages import ChatMessage
from orchat.messages.lenient_json import find_json
from orchat.openrouter.model_names import similar_names
from orchat.openrouter.wire.failures import error_from_response
from orchat.openrouter.wire.stream import ChunkReader
from orchat.prompt_language.placeholder_parser import find_placeholders
from orchat.secrets import redact
from orchat.streaming import StreamingChunk
from tests.patterns.cpu_time import cpu_time
from tests.patterns.hostile_text import Text

pytestmark = pytest.mark.slow

_FIRST, _SECOND = 1_000, 4_000  # characters, by which the texts are found that are worth a long look
_SHORT, _LONG = 12_500, 100_000
# A parser of Markdown takes 0.1 ms for a character of deep quotes.
_MARKDOWN_FIRST, _MARKDOWN_SECOND = 400, 1_600
_MARKDOWN_SHORT, _MARKDOWN_LONG = 2_000, 16_000
_FLOOR = 0.5  # seconds of the processor that nobody minds
_SHARE = 4  # how much slower a character of a long text may be than one of a short text
_END = 30.0

AGAIN = [
    "\t",
    "\n",
    " ",
    "    - a\n",
    "![",
    '"',
    "# a\n",
    "$",
    "$$",
    "$$a\n",
    "$a ",
    "%%openrouter ",
    "%openrouter -- ",
    "&a;",
    "'",
    "(",
    "**a",
    "- ",
    "- ```\n",
    "- a\n",
    "-----BEGIN PRIVATE KEY-----",
    "1. ",
    "1. a\n",
    "://a:b",
    ":online",
    "<",
    "<!--",
    "<a ",
    "<https://a",
    "<title ",
    "= ",
    "> ",
    "> - ",
    "> > ",
    "> a\n",
    "[",
    "[ ",
    "[a](",
    "[a]: b\n",
    "\\",
    "\\$",
    "\\(",
    "\\( ",
    "\\(a\\",
    "\\[ ",
    "\\[ a\\",
    "\\\\",
    "\\begin{align}",
    "](",
    "_a ",
    "`",
    "```\n",
    "``a`",
    "`a",
    "a\n",
    "a\n\n",
    "a = ",
    "a|b\n-|-\n",
    "bearer ",
    "eyJaaaaaaaa.",
    'f"',
    "f'''",
    "for a in ",
    "https://a!",
    "import a from ",
    "lambda ",
    "let {a} = ",
    "sk-a",
    "{",
    "{a.b",
    "{a[",
    "|a",
    "~~a ",
    "~~~\n",
    "é",
    "漢",
    "😀",
]
BEFORE = ["> " * 16 + "a\n", "- " * 16 + "a\n", "```\n"]
AFTER = "\nx\n```\n"
PLAIN = [Text("", again, after) for again in AGAIN for after in ("", AFTER)]
NESTED = [Text(before, again, "") for again in AGAIN for before in BEFORE]


def stream(text: str) -> None:
    """Show a text that comes in eight batches."""
    model = TurnViewModel()
    for at in range(0, len(text), len(text) // 8 + 1):
        model.add(StreamingChunk(text[at : at + len(text) // 8 + 1], index=0))
        model.pending()


def read_words(text: str) -> None:
    """Read a line of the magic."""
    with suppress(UsageError):
        split_prompt(text)


MARKDOWN = ("safe_markdown", "to_html", "split_blocks", "a stream")
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "safe_markdown": safe_markdown,
    "escape_markdown": escape_markdown,
    "to_html": lambda text: to_html(safe_markdown(text)),
    "split_blocks": split_blocks,
    "a stream": stream,
    "a transcript": lambda text: TurnTranscript([ChatMessage.from_assistant(text)]).markdown(),
    "JSON": lambda text: render_as("json", text),
    "literal text": lambda text: render_as("text", text),
    "cell_code": cell_code,
    "single_line": single_line,
    "find_placeholders": find_placeholders,
    "split_prompt": read_words,
    "keep_prompt_verbatim": lambda text: keep_prompt_verbatim(text.splitlines(keepends=True)),
    "redact": redact,
    "find_json": find_json,
    "error_from_response": lambda text: error_from_response(500, {}, text),
    "similar_names": lambda text: similar_names(text, ["openai/gpt-4o"], 1),
}


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_time_grows_with_the_length_only(name: str) -> None:
    function = FUNCTIONS[name]
    texts = PLAIN + NESTED if name in MARKDOWN else PLAIN

    def time(text: Text, size: int, times: int = 1) -> float:
        whole = text.of(size)
        return min(cpu_time(lambda: function(whole), _END) for _ in range(times))

    first = {text: time(text, _MARKDOWN_FIRST if name in MARKDOWN else _FIRST) for text in texts}
    second = {text: time(text, _MARKDOWN_SECOND if name in MARKDOWN else _SECOND) for text in texts}
    by_growth = sorted(texts, key=lambda text: second[text] / max(first[text], 1e-3), reverse=True)
    slowest = sorted(texts, key=second.__getitem__, reverse=True)
    slow = {}
    short, long = (_MARKDOWN_SHORT, _MARKDOWN_LONG) if name in MARKDOWN else (_SHORT, _LONG)
    for text in dict.fromkeys([*by_growth[:2], *slowest[:2]]):
        if (took := time(text, long)) <= _FLOOR:
            continue
        most = _SHARE * long / short * time(text, short, 2)
        if took > most and time(text, long) > most:
            slow[text] = (took, most)
    assert slow == {}


WORD = "x" * 40
PIECES: dict[str, Any] = {
    "text": {"content": WORD},
    "reasoning": {"reasoning": WORD, "reasoning_details": [{"type": "reasoning.text", "text": WORD, "index": 0}]},
    "a signature": {"reasoning_details": [{"type": "reasoning.text", "signature": WORD, "index": 0}]},
    "a refusal": {"refusal": WORD},
    "sound": {"audio": {"data": WORD, "transcript": WORD}},
    "annotations": {"annotations": [{"url": WORD}, [WORD]]},
    "arguments": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": WORD}}]},
    "arguments that seem to end": {
        "tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "}"}}]
    },
}


@pytest.mark.parametrize("name", PIECES)
def test_the_time_of_a_stream_grows_with_its_pieces_only(name: str) -> None:
    event = json.dumps({"choices": [{"delta": PIECES[name]}]})

    def read(pieces: int) -> None:
        reader = ChunkReader()
        for _ in range(pieces):
            reader.read(event)
        reader.check_size()
        reader.partial()

    took = cpu_time(lambda: read(32_000), _END)
    assert took <= _FLOOR or took <= 2.5 * 4 * min(cpu_time(lambda: read(8_000), _END) for _ in range(2))
