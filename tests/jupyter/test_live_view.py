"""The live view without a browser: blocks, events, and what a kernel sends to whoever is there."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from nbclient import NotebookClient

from orchat.chat.message_selection import CallPlace
from orchat.jupyter.kernel.live_view.frontend_modules import loader_source, module_sources
from orchat.jupyter.kernel.live_view.markdown_blocks import split_blocks
from orchat.jupyter.kernel.live_view.markdown_html import to_html
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.live_view.view_reducer import initial_state, reduce_events, text_change, utf16_length
from orchat.jupyter.kernel.live_view.widget_channel import WIDGET_MIME_TYPE
from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown
from orchat.jupyter.kernel.output.source_links import is_link
from orchat.messages import ReasoningContent, ToolCall, ToolCallResult
from orchat.streaming import StreamingChunk, ToolCallDelta
from tests.browser.driver import DRIVER, PATIENT_LOAD
from tests.jupyter.kernel import Kernel
from tests.jupyter.panel_page import Page
from tests.jupyter.test_markdown_sanitizer import assert_harmless
from tests.openrouter_server import PNG, ScriptedOpenRouter, event, finish, hold, pause, stream, text, tool_call, usage
from tests.patience import PATIENCE

DOCUMENTS = [
    "# Title\n\nA paragraph\nof two lines.\n\n- one\n\n- two\n\n  more of two\n\n      code in two\n\nThe end.",
    "Before:\n```python\nx = 1\n\ny = 2\n```\nAfter.\n\n> quoted\n> ```\n> a\n>\n> b\n> ```\n\nLast",
    "1. Do\n\n   ```sh\n   ls\n\n   pwd\n   ```\n\n2. Done\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    "~~~~\n```\n\n~~~~\n\nx",
    "$$\na\n$$\n\nand `code`\n\n***\n\nSetext\n======\n\ntext",
]
_MARKS = ["> ", ">", " ", "    ", "- ", "-", "* ", "1. ", "2. ", "10)", "```", "~~~", "````", "|", "|-|-|", "# ", "==="]
_ITEMS = "".join(f"{number}. {'long ' * 60}\n" for number in range(1, 8))
MARKDOWN = st.text(alphabet="ab `~\n\n->1.#|$ ", max_size=120) | st.lists(
    st.sampled_from([*_MARKS, "\n", "\n", "\n\n", "\n\n", "a", "b c", "**d**", "`", "$$", _ITEMS]), max_size=40
).map("".join)
# What people write: whole blocks with blank lines between them.
ORDINARY = st.lists(
    st.sampled_from(
        [
            "# Title",
            "Words,\n*more* and `code`.",
            "**Bold** words",
            "2024 was a year",
            "- one\n- two\n  - three\n\n    of three\n- four",
            "* one\n\n* two\n\n      code of two",
            "1. Do\n\n   ```sh\n   ls\n\n   pwd\n   ```\n\n2. Done",
            "> said\n>\n> > before\nlazy\n>\n> - so",
            "```python\nx = 1\n\n\ny = [2]\n```",
            "~~~\n```\n\n- no item\n~~~",
            "    code\n\n    more of it",
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "$$\na\n+ b\n$$",
            "***",
            "Title\n=====\nwords",
        ]
    ),
    max_size=8,
).map("\n\n".join)


def html_of(markdown: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(markdown)


def pieces(markdown: str) -> list[str]:
    blocks, rest = split_blocks(markdown)
    return [block.text for block in blocks] + [rest.text]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_document_looks_the_same_in_blocks(document: str) -> None:
    assert len(pieces(document)) >= 3
    assert "".join(html_of(safe_markdown(piece)) for piece in pieces(document)) == html_of(safe_markdown(document))


@given(MARKDOWN)
def test_blocks_hold_the_whole_text(markdown: str) -> None:
    def words(parts: list[str]) -> str:
        return "".join("".join(parts).split())

    assert words(pieces(markdown)) == words([markdown])


@given(ORDINARY, st.data())
def test_what_people_write_looks_the_same_in_blocks(document: str, data: st.DataObject) -> None:
    """Lists and quotations that follow one another without anything between are one to Markdown, and here, too."""
    whole = html_of(safe_markdown(document))
    assert "".join(html_of(safe_markdown(piece)) for piece in pieces(document)) == whole
    cut = data.draw(st.integers(0, len(document)))
    blocks, rest = split_blocks(document[:cut])
    later = [block.text for block in blocks] + pieces(rest.text + document[cut:])
    assert "".join(html_of(safe_markdown(piece)) for piece in later) == whole


@given(MARKDOWN, st.data())
def test_a_finished_block_never_changes(markdown: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(markdown)))
    early, rest = split_blocks(markdown[:cut])
    later, last = split_blocks(markdown)
    assert later[: len(early)] == early
    more, same = split_blocks(rest.text + markdown[cut:])
    continues = [rest.continues or block.continues for block in [*more, same]][:1]
    assert [block.text for block in [*early, *more, same]] == [block.text for block in [*later, last]]
    assert continues == [([*later, last])[len(early)].continues]


def test_a_long_list_is_cut_between_items_and_keeps_its_numbers() -> None:
    markdown = "\n".join(f"{number}. item {'x' * 80}" for number in range(1, 60))
    blocks, rest = split_blocks(markdown)
    assert len(blocks) >= 2
    assert [block.continues for block in blocks] == [False] + [True] * (len(blocks) - 1)
    assert rest.continues
    second = blocks[1].text.split(".")[0]
    assert f'<ol start="{second}">' in to_html(blocks[1].text)


@given(st.text(), st.text())
def test_a_change_says_what_stays_in_units_of_a_browser(old: str, new: str) -> None:
    keep, added = text_change(old, new)
    item = {"kind": "text", "blocks": [], "tail": old}
    state = {**initial_state(), "items": [item]}
    event = {"e": "text", "i": 0, "done": [], "keep": keep, "add": added}
    assert reduce_events(state, [event])["items"][0]["tail"] == new
    assert keep <= utf16_length(old)


ATTACKS = st.text(alphabet='ab `~$\\<>![](){}\n*_|:"/#-1.&;', max_size=80)


@given(st.lists(ATTACKS, max_size=6))
def test_what_a_view_gets_is_safe_and_is_everything(texts: list[str]) -> None:
    view_model, watching = TurnViewModel(), initial_state()
    for each in texts:
        view_model.add(StreamingChunk(each, index=0))
        watching = reduce_events(watching, json.loads(json.dumps(view_model.pending())))
    state = view_model.snapshot(html=False)
    assert watching["items"] == state["items"]
    for item in state["items"]:
        for markdown in [block["md"] for block in item["blocks"]] + [item["tail"]]:
            assert_harmless(markdown)


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_the_text_is_the_same_however_it_is_cut(size: int) -> None:
    for document in DOCUMENTS:
        view_model = TurnViewModel()
        for at in range(0, len(document), size):
            view_model.add(StreamingChunk(document[at : at + size], index=0))
            view_model.pending()
        (item,) = view_model.snapshot(html=False)["items"]
        shown = [block["md"] for block in item["blocks"]] + [item["tail"]]
        assert "".join(map(html_of, shown)) == html_of(safe_markdown(document))


def test_a_retry_stands_behind_the_model_until_something_comes() -> None:
    view_model = TurnViewModel()
    view_model.start("vendor/m")
    view_model.retrying("Retrying in 2 s (2 of 6):\nHTTP 503: busy.")
    state = view_model.snapshot(html=False)
    assert (state["phase"], state["label"]) == ("waiting", "vendor/m")
    assert state["retry"] == "Retrying in 2 s (2 of 6): HTTP 503: busy."
    view_model.add(StreamingChunk("Hi", index=0))
    state = view_model.snapshot(html=False)
    assert (state["phase"], state["label"], state["retry"]) == ("running", "vendor/m", "")


def test_a_turn_as_items() -> None:
    view_model = TurnViewModel()
    view_model.start("some/model\n*x*")
    call = ToolCall("tide", {"port": "Hull"}, "call_1")
    pixels = PNG.partition(",")[2]
    page, js = "https://example.org/a", "javascript:alert(1)"
    notes = [{"type": "url_citation", "url_citation": {"url": url, "title": "<b>"}} for url in (page, js)]
    for chunk in [
        StreamingChunk("", index=0, reasoning=ReasoningContent("Let me ")),
        StreamingChunk("", index=0, reasoning=ReasoningContent("see.\x1b[2J")),
        StreamingChunk("I ask.", index=1),
        StreamingChunk("", index=2, tool_calls=[ToolCallDelta(0, "tide", id="call_1")]),
        StreamingChunk("", index=2, tool_calls=[ToolCallDelta(0, arguments='{"port": ')]),
        StreamingChunk("", index=2, tool_calls=[ToolCallDelta(0, arguments='"Hull"}')]),
        {CallPlace(0, 0): call},
        StreamingChunk("", {"place": (0, 0)}, index=0, tool_call_result=ToolCallResult("4.2 m", call, error=False)),
        StreamingChunk("High.", index=0),
        StreamingChunk("", {"extras": {"images": [{"image_url": {"url": f"data:image/svg+xml;base64,{pixels}"}}]}}),
        StreamingChunk("", {"extras": {"images": [{"image_url": {"url": "https://example.org/i.png"}}]}}),
        StreamingChunk("", {"extras": {"annotations": notes}}),
    ]:
        if isinstance(chunk, dict):
            view_model.called(chunk, [0])
        else:
            view_model.add(chunk)
    view_model.end("some/model · 1.2 s", "finished")
    state = view_model.snapshot(html=True)
    assert (state["label"], state["phase"], state["footer"]) == ("some/model *x*", "ended", "some/model · 1.2 s")
    reasoning, said, asked, answer, *rest = state["items"]
    assert reasoning == {"kind": "reasoning", "text": "Let me see.[2J", "live": False}
    assert (said["tail"], said["html"]) == ("I ask.", "<p>I ask.</p>\n")
    assert (asked["name"], asked["args"], asked["status"], asked["result"]) == (
        "tide",
        '{"port": "Hull"}',
        "done",
        "4.2 m",
    )
    assert answer["tail"] == "High."
    assert rest == [{"kind": "picture", "type": "image/png", "data": pixels}]  # by what it is, not by what it says
    assert state["sources"] == [{"url": page, "title": "<b>"}]


def test_two_rounds_of_calls_are_different_items() -> None:
    view_model = TurnViewModel()
    for response, round_ in enumerate(("a", "b")):
        view_model.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, "tide", '{"n": 1}', id="same")]))
        view_model.add(StreamingChunk("", index=1, tool_calls=[ToolCallDelta(1, "tide", '{"n": 2}', id="same")]))
        made = {CallPlace(response, at): ToolCall("tide", {"n": at + 1}, "same") for at in (0, 1)}
        view_model.called(made, [0, 1])
        for place, said in ((CallPlace(response, 1), round_ * 2), (CallPlace(response, 0), round_)):
            result = ToolCallResult(said, made[place], error=False)
            view_model.add(StreamingChunk("", {"place": place}, index=0, tool_call_result=result))
    items = view_model.snapshot(html=False)["items"]
    assert [(item["args"], item["result"]) for item in items] == [
        ('{"n": 1}', "a"),
        ('{"n": 2}', "aa"),
        ('{"n": 1}', "b"),
        ('{"n": 2}', "bb"),
    ]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//example.org", "https://", "http://[", "https://a b", "x\n"]
)
def test_what_is_no_link(url: str) -> None:
    assert not is_link(url)


def test_what_is_saved_with_a_widget_is_small_and_the_rest_stands_alone() -> None:
    assert len(loader_source("view/view")) < 2_800
    names = [name for name, _ in module_sources("view/view")]
    assert names[-1] == "view/view.js"
    seen: set[str] = set()
    for name, source in module_sources("view/view"):
        assert set(re.findall(r'^import .*? from "\./(.+?)";$', source, re.MULTILINE)) <= seen
        seen.add(name)
        assert max(map(len, source.splitlines())) <= 120
        assert "innerHTML" not in source


@pytest.mark.slow
def test_where_nobody_looks_there_is_no_widget(endpoint: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", endpoint.base_url)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-v1-0123456789abcdef")
    endpoint.answers(text("The *Humber*. " * 20).paced(0.01))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (DRIVER, "reply = await show()")]
    )
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    (output,) = notebook.cells[1].outputs
    assert WIDGET_MIME_TYPE not in output.data
    assert output.data["text/markdown"].startswith("The *Humber*.")
    assert "widgets" not in notebook.metadata


@pytest.mark.slow
def test_a_page_that_answers_late_gets_the_form_to_see(endpoint: ScriptedOpenRouter) -> None:
    asks = tool_call("tide", '{"port": "Hull"}', id="call_1")
    endpoint.answers(stream(event("I ask."), pause(1.7), asks, finish("tool_calls")), text("Fine."))
    tide = 'def tide(port: str) -> str:\n    "Tell."\n    return "high"\n'
    key = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
    with Kernel(key) as kernel:
        kernel.run(DRIVER + tide)
        client = kernel._client
        request = kernel._ask("reply = await show(tools=[tide])", {"cellId": "late"})
        comm, shown, items = "", [], []

        def send(content: dict[str, Any]) -> None:
            data = {"comm_id": comm, "data": {"method": "custom", "content": content}}
            client.shell_channel.send(client.session.msg("comm_msg", data))

        def until(condition: Callable[[], bool]) -> None:
            nonlocal comm
            while not condition():
                message = client.get_iopub_msg(timeout=PATIENCE)
                content = message["content"]
                if message["msg_type"] in ("display_data", "update_display_data"):
                    shown.append(WIDGET_MIME_TYPE in content["data"])
                elif message["msg_type"] == "comm_open" and "_esm" in content["data"]["state"]:
                    comm = content["comm_id"]
                elif message["msg_type"] == "comm_msg" and content["data"].get("content", {}).get("t") == "full":
                    items[:] = content["data"]["content"]["state"]["items"]

        until(lambda: shown[-1:] == [False])  # the page has been silent for too long
        assert shown[0] is True
        send({"t": "ready", "render": "markdown"})
        until(lambda: shown[-1])
        while len(items) < 2 or "revision" not in items[1]["form"]:
            items.clear()
            send({"t": "ready", "render": "markdown"})
            until(lambda: bool(items))
        send({"t": "decide", "i": 1, "decision": "approve", "revision": items[1]["form"]["revision"]})
        until(lambda: len(shown) > 2 and not shown[-1])
        while client.get_shell_msg(timeout=PATIENCE)["parent_header"]["msg_id"] != request:
            pass
        assert kernel.value("reply.text") == "'Fine.'"


@pytest.mark.slow
def test_what_comes_after_the_output_was_cleared_is_shown_and_kept(endpoint: ScriptedOpenRouter) -> None:
    more, last = threading.Event(), threading.Event()
    endpoint.answers(stream(event("One. "), hold(more), event("Two."), hold(last), finish("stop"), usage()))
    key = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}
    with Kernel(key) as kernel:
        kernel.run(PATIENT_LOAD)
        page = Page(kernel, "cleared")
        request = page.begin("%%openrouter\nCount.", in_page=True)
        page.open_view(clicks=False)

        def clear() -> None:
            """Clear the output, and have the kernel hear of it."""
            page.clear()
            page.state = {}
            page.send({"t": "ready", "render": "markdown"})
            page.until(lambda: bool(page.state))

        page.until(lambda: "One." in json.dumps(page.state["items"]))
        assert len(page.outputs) == 1
        clear()
        more.set()
        page.until(lambda: len(page.outputs) == 2 and "Two." in json.dumps(page.state["items"]))
        assert WIDGET_MIME_TYPE in page.outputs[1]
        clear()
        last.set()
        page.wait(request)
        page.until(lambda: len(page.outputs) == 3)
        assert WIDGET_MIME_TYPE not in page.outputs[2]
        assert page.outputs[2]["text/markdown"].startswith("One. Two.")
        page.until(lambda: page.metadata is not None and "turns" in page.metadata)


def test_loading_stays_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, orchat.jupyter.kernel.live_view.live_view; print([m for m in ('anywidget', 'ipywidgets', 'httpx2',\
'pydantic', 'jsonschema', 'pygments', 'markdown_it') if m in sys.modules])"
    )
    ran: Any = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
