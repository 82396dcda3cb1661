"""Write a conversation as text, for outputs that are read without a kernel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from orchat.chat.message_selection import split_at_questions
from orchat.chat.state_redaction import secret_of_model
from orchat.jupyter.kernel.output.markdown_sanitizer import escape_markdown, safe_markdown
from orchat.jupyter.kernel.output.status_lines import answer_note
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript
from orchat.jupyter.panel.question_view import question_view
from orchat.jupyter.panel.turn_replay import turn_reply
from orchat.messages import ChatMessage
from orchat.secrets import redact

_MAX_TRANSCRIPT = 60_000  # characters of a transcript in a saved output


def transcript_text(messages: Iterable[ChatMessage], note: str = "", secrets: Sequence[str] = ()) -> tuple[str, str]:
    """Return a conversation as sanitized Markdown and as plain text, for outputs that are read without a kernel.

    They are saved: a person's words go without their secrets; an answer that holds one is left out, and that is said.

    Examples
    --------
    >>> print(transcript_text([ChatMessage.from_user("Name a river."), ChatMessage.from_assistant("The *Humber*.")])[0])
    **You:** Name a river.
    <BLANKLINE>
    The *Humber*.
    """
    turns = split_at_questions(messages)[1]
    markdown: list[str] = []
    plain: list[str] = []
    characters_left = _MAX_TRANSCRIPT
    omitted = 0
    for at in reversed(range(len(turns))):
        question = question_view(turns[at][0])
        asked = redact(question["text"], *secrets)
        file_names = ", ".join(redact(file["name"]) for file in question["files"])
        secret = secret_of_model(turns[at], secrets)
        transcript = TurnTranscript(turns[at][:1] if secret else turns[at])
        reply = turn_reply(turns[at])
        if reply.ending in ("stopped", "interrupted", "failed"):
            ending_text = f"({reply.ending})"
        else:
            ending_text = answer_note(reply, in_panel=True)
        if secret:
            ending_text = f"(This answer is not saved: it holds what looks like {secret}.)"
        words = [f"**You:** {safe_markdown(asked)}", file_names and f"*with {escape_markdown(file_names)}*"]
        turn_markdown = "\n\n".join(
            filter(None, [*words, transcript.markdown(), ending_text and f"*{escape_markdown(ending_text)}*"])
        )
        turn_plain = "\n\n".join(
            filter(None, [f"You: {asked}", file_names and f"with {file_names}", transcript.plain(), ending_text])
        )
        characters_left -= len(turn_markdown)
        if characters_left < 0 and markdown:
            omitted = at + 1
            break
        markdown.insert(0, turn_markdown)
        plain.insert(0, turn_plain)
    if omitted:
        earlier = f"({omitted} earlier turns are not shown here.)"
        markdown.insert(0, f"*{earlier}*")
        plain.insert(0, earlier)
    if note:
        markdown.append(f"*{escape_markdown(note)}*")
        plain.append(note)
    return "\n\n".join(markdown), "\n\n".join(plain)
