"""``%%openrouter`` in a real JupyterLab and a real Notebook 7."""

from __future__ import annotations

import re
import threading
import time

import pytest
from playwright.sync_api import Page, expect

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.browser.accessibility import accessibility_violations
from tests.browser.driver import PATIENT_LOAD
from tests.browser.lab import POLLING, Lab, Notebook
from tests.jupyter.kernel import SOON
from tests.openrouter_server import (
    Answer,
    Request,
    ScriptedOpenRouter,
    call,
    calls,
    endless,
    event,
    finish,
    hold,
    stream,
    text,
    usage,
)
from tests.patience import PATIENCE, stretched

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"
ANSWER = "The river runs down to the *sea*. " * 30


def test_the_text_is_seen_to_grow(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text(ANSWER).paced(0.02))
    notebook = front_end.open(page, "grow.ipynb", PATIENT_LOAD, "%%openrouter some/model\nTell me of the river.")
    notebook.run(0)
    notebook.wait(0)
    notebook.watch(1, "river runs")
    notebook.run(1)
    notebook.wait(1)
    lengths = notebook.lengths()
    assert lengths == sorted(lengths)
    assert len(set(lengths)) >= 10
    notebook.wait_for_text(1, "The river runs down to the sea.", 30)
    assert notebook.text(1).startswith("The river runs down to the sea.")  # the asterisks are rendered

    saved = notebook.save()
    (output,) = saved.cells[1].outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/markdown", "text/plain", MIME}
    assert output.data["text/plain"].startswith(ANSWER.strip())

    front_end.close_notebooks(page)
    reopened = front_end.show(page, notebook.path)
    reopened.wait_for_text(1, "The river runs down to the sea.", 30)
    assert reopened.text(1).startswith("The river runs down to the sea.")
    assert len(reopened.outputs(1)) == 1


@pytest.mark.parametrize("first_token", [True, False], ids=["in the middle", "before the first token"])
def test_the_interrupt_button(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter, first_token: bool) -> None:
    gate = threading.Event()
    endpoint.answers(endless(ANSWER).paced(0.05) if first_token else text(ANSWER).held(gate))
    notebook = front_end.open(
        page,
        f"interrupt-{first_token}.ipynb",
        PATIENT_LOAD,
        "%%openrouter some/model -o reply\nTell me of the river.",
        "print('it ran')",
        "print(reply.message.meta['ending'], repr(reply.text))",
    )
    notebook.run(0, 1, 2)
    notebook.wait_for_text(1, "The river" if first_token else "waiting for")
    page.wait_for_timeout(300)
    seconds = notebook.interrupt(1, "openrouter: interrupted; what arrived is kept")
    gate.set()
    assert seconds < stretched(SOON)
    assert endpoint.request.client_closed.wait(PATIENCE)
    assert (endpoint.request.client_closed_at or 0) - notebook.pressed <= stretched(0.3)
    notebook.wait(1)
    page.wait_for_timeout(500)
    assert notebook.outputs(2) == []  # the cell behind did not run
    notebook.run(3)
    notebook.wait(3)
    (printed,) = notebook.outputs(3)
    ending, _, kept = "".join(printed["text"]).partition(" ")
    assert ending == "interrupted"
    assert kept.startswith("'The river" if first_token else "''")
    assert len(kept) < len(ANSWER)
    shown, failed = notebook.save().cells[1].outputs
    assert failed.output_type == "error"
    assert failed.traceback == ["openrouter: interrupted; what arrived is kept"]
    assert shown.data["text/markdown"].startswith("The river runs down" if first_token else "*interrupted · ")
    assert "*interrupted · " in shown.data["text/markdown"]
    assert read_extras(shown.data)["ending"] == "interrupted"


def test_the_button_interrupts_a_column_and_the_cell_goes_on(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate, rows = threading.Event(), 20

    def answer(request: Request) -> Answer:
        number = int(request.json["messages"][-1]["content"])
        return text("Yes.") if number < 10 or gate.is_set() else text("late").held(gate)

    endpoint.always(answer)
    code = f"import orchat\nanswers = orchat.map('{{value}}', range({rows}), concurrency=2, store='column.sqlite')"
    notebook = lab.open(
        page, "column.ipynb", code, "print(answers.values.count('Yes.'), len(answers.failures))\nanswers"
    )
    seen = len(endpoint.requests)
    notebook.run(0, 1)
    notebook.wait_for_text(0, f"10/{rows}")  # though no further row is answered
    assert notebook.interrupt(0, "interrupted after 10 answers") < stretched(SOON)
    gate.set()
    notebook.wait(0)
    page.wait_for_timeout(500)
    assert notebook.outputs(1) == []  # the cell behind did not run
    notebook.run(0, 1)
    notebook.wait_for_text(1, f"{rows} 0")
    notebook.wait_for_text(1, f"{rows} of {rows} rows answered")
    asked = [request for request in endpoint.requests[seen:] if request.json]
    assert len(asked) == rows + 2  # those that were on their way are asked again, and no other


def growing(gate: threading.Event) -> Answer:
    """An answer whose last two thirds come when the test wants them."""
    words = [event(word) for word in re.findall(r"\S+\s*", ANSWER)]
    return stream(words[:70], hold(gate), words[70:], finish("stop"), usage()).paced(0.01)


def test_a_page_reloaded_while_a_cell_streams_ends_with_the_right_output(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    endpoint.answers(growing(gate))
    notebook = front_end.open(page, "reload.ipynb", PATIENT_LOAD, "%%openrouter\nTell me of the river.")
    notebook.run(0, 1)
    notebook.wait_for_text(1, "The river")
    notebook.save()
    page.reload()
    reopened = Notebook(page, notebook.path)
    page.wait_for_function(
        "() => window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 1", polling=POLLING
    )
    gate.set()
    reopened.wait_for_text(1, "vendor/some-model")  # the line below the whole answer
    (output,) = reopened.save().cells[1].outputs
    assert set(output.data) == {"text/markdown", "text/plain", MIME}
    assert output.data["text/plain"].startswith(ANSWER.strip())


def test_a_restore_behind_a_turn_that_a_reloaded_page_has_not_seen_end_keeps_it(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    endpoint.answers(text("First."), growing(gate), text("Third."))
    cells = (
        PATIENT_LOAD,
        "%%openrouter\nOne?",
        "%%openrouter\nTwo?",
        "%openrouter restore",
        "%%openrouter\nThree?",
    )
    notebook = lab.open(page, "reload-restore.ipynb", *cells)
    notebook.run(0, 1, 2, 3)
    notebook.wait_for_text(2, "The river")
    notebook.save()
    page.reload()
    reopened = Notebook(page, notebook.path)
    page.wait_for_function(
        "() => window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 4", polling=POLLING
    )
    gate.set()
    reopened.wait_for_text(2, "vendor/some-model")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", polling=POLLING
    )
    reopened.run(4)
    reopened.wait_for_text(4, "Third.")
    roles = [message["role"] for message in endpoint.request.json["messages"]]
    assert roles == ["user", "assistant"] * 2 + ["user"]


def test_a_call_is_edited_and_approved_in_a_form(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull", "days": 2}, id="call_1")), text("At 14:10."))
    notebook = front_end.open(
        page,
        "form.ipynb",
        PATIENT_LOAD + "\ndef tide(port: str, days: int = 1) -> str:\n    return f'{port} {days}'",
        "%%openrouter -T tide -o reply\nWhen?",
        "print([type(value).__name__ for value in reply.messages[2].meta['arguments'].values()])",
    )
    started = time.monotonic()
    notebook.run(0, 1, 2)
    form = page.locator(".orchat-form")
    form.get_by_label("port").first.fill("Goole")
    expect(page.locator(".orchat-status")).to_have_text("waits for you")
    asked = time.monotonic()
    form.get_by_label("days", exact=True).fill("three")
    expect(form.get_by_text("“three” is no number.")).to_be_visible()
    form.get_by_label("days", exact=True).fill("3")
    expect(form.locator(".orchat-form-difference")).to_contain_text("days: 2 → 3")
    violations = accessibility_violations(page, ".orchat-form")
    assert [each["id"] for each in violations if each["impact"] in ("serious", "critical")] == []
    page.wait_for_timeout(1_500)
    waited = time.monotonic() - asked
    form.get_by_role("button", name="Approve edited").click()
    notebook.wait(2)
    assert endpoint.request.json["messages"][-1]["content"].endswith("\n\nGoole 3")
    (printed,) = notebook.outputs(2)
    assert "".join(printed["text"]) == "['str', 'int']\n"
    (output,) = notebook.save().cells[1].outputs
    assert 'tide (edited)(port="Goole", days=3)' in output.data["text/plain"]
    seconds = float(re.findall(r"([\d.]+) s$", output.data["text/plain"])[0])  # without a person's time to think
    assert seconds <= time.monotonic() - started - waited + 0.1
