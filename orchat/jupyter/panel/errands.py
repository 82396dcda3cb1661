"""What a page asks of a panel. All of it is looked at: a page shows what others wrote, and its messages are data.

Each message says with ``t`` what it is about; whatever takes time becomes a task, and what goes wrong there is shown by
the panel itself.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orchat.errors import OrchatError
from orchat.jupyter.output.caption import line, printable
from orchat.jupyter.panel.picking import find_models

if TYPE_CHECKING:
    from orchat.jupyter.panel.panel import ChatPanel

_MOST_TEXT = 2_000_000


def run(panel: ChatPanel, content: dict[str, Any]) -> None:
    """Do what a page asks; what makes no sense is passed over."""
    match content.get("t"):
        case "send" if isinstance(content.get("text"), str):
            panel._send_draft(_text(content["text"]))
        case "draft" if isinstance(content.get("text"), str):
            panel._log.set(draft={**(panel._log.field("draft") or {"n": 0}), "text": _text(content["text"])})
        case "stop":
            panel.stop()
        case "older":
            panel._log.older()
        case "attach":
            panel._uploads.take(content)
            panel._log.set(files=panel._uploads.shown)
        case "unattach":
            panel._uploads.drop(content.get("n"))
            panel._log.set(files=panel._uploads.shown)
        case "models" if isinstance(content.get("query"), str):
            panel._background(_models(panel, line(content["query"]), content.get("n")))
        case "check" | "decide" | "revoke":
            panel._decide(content)
        case "cell" if isinstance(content.get("code"), str):
            panel._to_cell(content["code"])
        case "saves":
            panel._page_saves = True
            panel._refresh_output()
        case _:
            with suppress(OrchatError):  # shown by the panel
                _change(panel, content)
    panel._show_soon()


def _change(panel: ChatPanel, content: dict[str, Any]) -> None:
    """Do what changes the conversation; while a turn goes on nothing does."""
    if panel.is_running:
        return
    text = content.get("text")
    match content.get("t"):
        case "again":
            model = content.get("model")
            panel._background(panel.regenerate(line(model, 200) if isinstance(model, str) and model else None))
        case "edit":
            panel._edit()
        case "undo":
            panel.undo()
        case "new" if isinstance(content.get("name"), str):
            panel.new_chat(line(content["name"], 60) or None)
        case "switch" if isinstance(content.get("name"), str):
            panel.switch_chat(content["name"])
        case "model" if isinstance(content.get("model"), str):
            panel._pick(line(content["model"], 200))
        case "parameters":
            panel._set_parameters(content)
        case "system" if isinstance(text, str):
            panel._set_system(_text(text))
        case "dismiss":
            panel._log.set(error=None)
        case "discard":
            panel._discard()
        case "export":
            panel._export(to_cell=content.get("to") == "cell", number=content.get("n"))


async def _models(panel: ChatPanel, query: str, number: object) -> None:
    found = await find_models(query)
    panel._log.set(models={**found, "query": query, "n": number if isinstance(number, int) else 0})
    panel._show_soon()


def _text(text: str) -> str:
    return printable(text[:_MOST_TEXT])
