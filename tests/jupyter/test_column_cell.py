"""``%%openrouter --map``: the prompt of a cell, asked for each row of a variable."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.jupyter.kernel import Kernel
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, text

pytestmark = pytest.mark.slow

SETUP = """
import os, pandas as pd
from typing import Literal
os.environ["ORCHAT_STORE"] = {store!r}
reviews = pd.DataFrame({{"text": ["a good one", "a bad one"], "stars": [5, 1]}}, index=["p", "q"])
Tone = Literal["good", "bad"]
cities = ["Hull", "York"]
"""


def answer(request: Request) -> Answer:
    question = request.json["messages"][-1]["content"]
    if "response_format" not in request.json:
        return text(question)
    return text('{"answer": "bad"}' if "bad" in question else '{"answer": "good"}')


@pytest.fixture
def setup(tmp_path: Path) -> str:
    return SETUP.format(store=str(tmp_path / "answers.sqlite"))


def test_a_cell_asks_for_each_row_and_binds_the_result(
    kernel: Kernel, endpoint: ScriptedOpenRouter, setup: str
) -> None:
    endpoint.always(answer)
    count = len(endpoint.requests)
    _, cell = kernel.run(setup, "%%openrouter --map reviews --schema Tone -o tones -s Briefly. -t 0\nTone of {text}?")
    assert cell.status == "ok", cell.content
    asked = [request.json for request in endpoint.requests[count:] if request.json]
    assert sorted(body["messages"][-1]["content"] for body in asked) == ["Tone of a bad one?", "Tone of a good one?"]
    assert asked[0]["messages"][0] == {"role": "system", "content": "Briefly."}
    assert asked[0]["temperature"] == 0
    shown = [bundle["text/html"] for bundle in cell.bundles if "text/html" in bundle]
    assert any('alt="Bar chart of answer: good 1, bad 1"' in html for html in shown)
    assert kernel.value("(list(tones['answer']), list(tones.frame.index))") == "(['good', 'bad'], ['p', 'q'])"
    _, line = kernel.run("answers = %openrouter --map cities -- Where is {value}?", "answers.values")
    assert line.of("execute_result")[0]["data"]["text/plain"] == "['Where is Hull?', 'Where is York?']"


def test_a_dry_run_and_mistakes_are_one_line_and_send_nothing(
    kernel: Kernel, endpoint: ScriptedOpenRouter, setup: str
) -> None:
    kernel.run(setup)
    count = len([request for request in endpoint.requests if request.json])
    (dry,) = kernel.run("%%openrouter --map cities --dry-run\nWhere is {value}?")
    assert dry.printed.startswith("2 rows: 2 requests; about")
    mistakes = {
        "%%openrouter --map citeis\nWhere is {value}?": "there is no variable citeis. Did you mean cities?",
        "%%openrouter --map reviews\nTone of {txet}?": "{txet} names no column; did you mean text?",
        "%%openrouter --map cities -T run_python\n{value}": "-T is for a conversation",
        "%%openrouter --map cities --raw\n{value}": "--raw and --map",
        "%%openrouter --map cities --schema Nope\n{value}": "there is no variable Nope",
        "%%openrouter --map cities --max-cost 0.01 -m vendor/unlisted-facts\n{value}": "is not known",
    }
    for cell, says in mistakes.items():
        (ended,) = kernel.run(cell)
        assert (ended.status, ended.content["ename"]) == ("error", "CellError"), cell
        assert says in ended.content["evalue"], ended.content["evalue"]
    assert len([request for request in endpoint.requests if request.json]) == count


def test_an_interrupt_keeps_what_was_answered(kernel: Kernel, endpoint: ScriptedOpenRouter, setup: str) -> None:
    gate = threading.Event()
    kernel.run(setup)
    count = len(endpoint.requests)
    endpoint.always(lambda request: text("Yes.") if "Hull" in str(request.json) else text("late").held(gate))
    cell = "%%openrouter --map cities -o answers\nIs {value} near?"
    (first,) = kernel.run(cell, interrupt_when=lambda _: len(endpoint.requests) >= count + 2)
    gate.set()
    assert first.content["evalue"].startswith("interrupted; what was answered is kept")
    assert kernel.value("answers.values[1]") == "None"
    endpoint.always(text("Yes."))
    (second,) = kernel.run(cell)
    assert second.status == "ok"
    assert kernel.value("answers.values") == "['Yes.', 'Yes.']"
