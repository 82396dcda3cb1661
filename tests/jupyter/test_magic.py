"""``%%openrouter`` in real kernels: streaming, interrupts, errors, and where a cell cannot be awaited."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from typing import Any

import pytest

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.jupyter.kernel import SOON, Kernel, shows
from tests.openrouter_server import (
    ScriptedOpenRouter,
    done,
    endless,
    error,
    event,
    finish,
    reasoning,
    stream,
    text,
    usage,
)
from tests.patience import stretched

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"
LONG = "The river runs down to the sea. " * 40


def test_the_answer_grows_and_ends_static(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text(LONG).paced(0.01))
    code = '%%openrouter some/model -o reply -s "Be brief." -t 0.5\nTell me of the river.\n'
    (cell,) = any_kernel.run(code, cell_ids=["a"])
    assert cell.status == "ok"
    assert endpoint.request.json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tell me of the river."},
    ]
    assert (endpoint.request.json["model"], endpoint.request.json["temperature"]) == ("some/model", 0.5)
    first, *updates, last = cell.bundles
    assert first["text/markdown"] == "*waiting for some/model …*"
    assert all(set(bundle) == {"text/markdown"} for bundle in updates)
    lengths = [len(bundle["text/markdown"]) for bundle in updates]
    assert len(lengths) > 8
    assert lengths == sorted(lengths)
    assert set(last) == {"text/markdown", "text/plain", MIME}
    assert last["text/plain"].startswith(LONG.strip())
    assert read_extras(last)["requested"] == "some/model"
    assert {"format", "version", "model", "provider", "finish_reason", "usage", "id", "seconds"} < set(
        read_extras(last)
    )
    assert len({content["transient"]["display_id"] for content in cell.of("display_data")}) == 1
    assert any_kernel.value("(reply.text, reply.finish_reason)") == repr((LONG, "stop"))


def test_an_interrupt_ends_the_cell_as_one_line_and_stops_the_queue(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(endless(LONG).paced(0.05))
    any_kernel.run("ran = False")
    cell, queued = any_kernel.run(
        "%%openrouter -o reply\nGo on.", "ran = True", interrupt_when=shows("The river"), cell_ids=["a", "b"]
    )
    assert (cell.status, queued.status) == ("error", "aborted")
    assert cell.seconds < stretched(SOON)
    assert cell.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert any_kernel.value("ran") == "False"
    partial = any_kernel.value("(reply.text, reply.finish_reason, reply.message.meta['ending'])")
    shown, reason, ending = eval(partial)
    assert 0 < len(shown) < len(LONG)
    assert (reason, ending) == (None, "interrupted")
    assert cell.bundles[-1]["text/plain"].startswith(shown.strip())
    assert read_extras(cell.bundles[-1])["ending"] == "interrupted"


def test_an_interrupt_before_the_first_token(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    endpoint.answers(text("late").held(gate))
    asked = len(endpoint.requests)
    cell, queued = any_kernel.run(
        "%%openrouter -o reply\nGo on.", "1", interrupt_when=lambda _: endpoint.requests[asked:]
    )
    gate.set()
    assert (cell.status, queued.status) == ("error", "aborted")
    assert cell.seconds < stretched(SOON)
    assert any_kernel.value("(reply.text, reply.message.meta['ending'])") == "('', 'interrupted')"


def test_an_interrupt_while_something_slow_starts(kernel: Kernel) -> None:
    kernel.run("import orchat.default_factories, time; connect = orchat.default_factories.connect")
    kernel.run("orchat.default_factories.connect = lambda *a, **k: (print('slow'), time.sleep(30))")
    cell, queued = kernel.run("%%openrouter\nGo on.", "1", interrupt_when=shows("slow"))
    kernel.run("orchat.default_factories.connect = connect")
    assert (cell.status, queued.status) == ("error", "aborted")
    assert cell.seconds < stretched(SOON)


@pytest.mark.parametrize("around", ["%%time\n", "%%capture captured\n"])
def test_where_the_cell_cannot_be_awaited(any_kernel: Kernel, endpoint: ScriptedOpenRouter, around: str) -> None:
    endpoint.answers(text("Hello there."), endless(LONG).paced(0.05))
    (cell,) = any_kernel.run(f"{around}%%openrouter -o reply\nHi")
    assert cell.status == "ok"
    assert any_kernel.value("reply.text") == "'Hello there.'"
    asked = len(endpoint.requests)
    cell, queued = any_kernel.run(
        f"{around}%%openrouter -o reply\nHi",
        "1",
        interrupt_when=lambda _: endpoint.requests[asked:] and endpoint.request.pieces_sent > 5,
    )
    # IPython keeps every error inside a captured cell.
    assert (cell.status, queued.status) == (("ok", "ok") if "capture" in around else ("error", "aborted"))
    assert cell.seconds < stretched(SOON)
    assert any_kernel.value("reply.message.meta['ending']") == "'interrupted'"


def test_captured_output_is_the_final_one(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text(LONG).paced(0.005))
    kernel.run("%%capture captured\n%%openrouter\nHi")
    assert kernel.value("[sorted(output.data) for output in captured.outputs]") == repr(
        [[MIME, "text/markdown", "text/plain"]]
    )


def test_without_autoawait(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("Hello there."))
    *_, cell, _ = kernel.run("%autoawait off", "%%openrouter -o reply\nHi", "%autoawait on")
    assert cell.status == "ok"
    assert cell.bundles[-1]["text/plain"].startswith("Hello there.")


def test_run_by_code_of_another_cell(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("Hello there."))
    (cell,) = kernel.run("get_ipython().run_cell_magic('openrouter', '-o reply', 'Hi')")
    assert cell.status == "ok"
    assert kernel.value("reply.text") == "'Hello there.'"


def test_an_error_is_a_short_card_and_one_line(any_kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    endpoint.answers(error(401, "No auth credentials <b>found</b> for user_2abcDEFghiJKLmnoPQRstuVWXyz").held(gate))
    cell, queued = any_kernel.run("%%openrouter -o reply\nHi", "1", when_queued=gate.set)
    assert (cell.status, queued.status) == ("error", "aborted")
    assert len(cell.content["traceback"]) == 1
    assert cell.content["traceback"][0].startswith("openrouter: AuthenticationError: ")
    card = cell.bundles[-1]["text/markdown"]
    assert "No auth credentials &lt;b>found&lt;/b>" in card
    assert "→" in card
    assert len(json.dumps(cell.bundles[-1])) < 1_500
    everything = json.dumps([cell.messages, cell.content], default=str)
    assert "sk-or" not in everything
    assert "user_2abc" not in everything
    assert any_kernel.value("reply.message.meta['ending']") == "'failed'"
    assert any_kernel.value("type(__import__('sys').last_value.__cause__).__name__") == "'AuthenticationError'"


def test_an_error_in_the_middle_keeps_what_arrived(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(stream(event("Half of "), event("it")).ending("reset"))
    (cell,) = kernel.run("%%openrouter -o reply\nHi")
    assert cell.status == "error"
    assert cell.bundles[-1]["text/markdown"].startswith("Half of it\n\n> **")
    assert kernel.value("(reply.text, reply.finish_reason)") == "('Half of it', None)"


def test_what_is_no_error_of_ours_is_shown_in_full(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    kernel.run("import orchat.default_factories; connect = orchat.default_factories.connect")
    kernel.run("orchat.default_factories.connect = lambda *a, **k: 1 / 0")
    (cell,) = kernel.run("%%openrouter -o reply\nHi")
    kernel.run("orchat.default_factories.connect = connect")
    assert cell.content["ename"] == "ZeroDivisionError"
    assert len(cell.content["traceback"]) > 3
    assert kernel.value("reply.message.meta['ending']") == "'failed'"


def test_reasoning_shows_while_it_runs_and_is_folded_after(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    thought = [reasoning("The user <b>wants</b> a river. ") for _ in range(40)]
    endpoint.answers(stream(*thought, event("The Humber."), finish("stop"), usage(), done()).paced(0.05))
    (cell,) = kernel.run("%%openrouter some/model -o reply\nName a river.", cell_ids=["a"])
    live = [bundle["text/markdown"] for bundle in cell.bundles[1:-1]]
    assert live[0].startswith("> *Reasoning … ")
    assert "The user &lt;b>wants" in live[0]
    assert all(len(each) < 400 for each in live)
    last = cell.bundles[-1]["text/markdown"].splitlines()
    assert last[0].startswith("> *Reasoning (1,240 characters): The user &lt;b>wants")
    assert last[2] == "The Humber."


def test_the_footer_leaves_out_what_is_unknown(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(stream(event("Hi."), finish("stop"), done()))
    (cell,) = kernel.run("%%openrouter\nHi")
    footer = cell.bundles[-1]["text/plain"].splitlines()[-1]
    assert "$" not in footer
    assert " in" not in footer


def test_an_empty_answer_says_so(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(stream(finish("length"), usage(), done()))
    (cell,) = kernel.run("%%openrouter\nHi")
    assert cell.status == "ok"
    assert cell.bundles[-1]["text/plain"].startswith("The answer is empty")


def test_the_words_of_a_refusal_are_seen(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    pieces = [event(None, refusal="I cannot "), event(None, refusal="help.")]
    endpoint.answers(stream(pieces, finish(), usage(), done()))
    (cell,) = kernel.run("%%openrouter -o reply\nHelp me.")
    assert cell.status == "ok"
    for kind in ("text/markdown", "text/plain"):
        assert "The model refused: I cannot help." in cell.bundles[-1][kind]
    assert kernel.value("(reply.text, reply.message.meta['refusal'])") == repr(("", "I cannot help."))


def test_without_a_key_there_are_three_ways_on(tmp_path: Any) -> None:
    with Kernel({"HOME": str(tmp_path)}) as keyless:
        keyless.run("%load_ext orchat")
        gate = tmp_path / "gate"
        waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
        _, cell, queued = keyless.run(waits, "%%openrouter -o reply\nHi", "1", when_queued=gate.touch)
    assert (cell.status, queued.status) == ("error", "aborted")
    card = cell.bundles[-1]["text/markdown"]
    for way in ("`%openrouter key set`", "getpass", "local/smollm2-135m-instruct", "OPENROUTER_BASE_URL"):
        assert way in card
    assert len(card) < 1_000


def test_traffic_of_a_thousand_tokens(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    sentence = "The broad river winds through Yorkshire to the northern sea, where every tide meets it. "
    words = (sentence * 80).split(" ")[:1000]
    answer = " ".join(words)
    assert 5_200 < len(answer) < 6_300
    endpoint.answers(stream(*(event(word + " ") for word in words), finish("stop"), usage(), done()).paced(0.01))
    (cell,) = kernel.run("%%openrouter\nGo on.", cell_ids=["a"])
    assert cell.bundles[-1]["text/plain"].startswith(answer[:200])
    seconds = cell.times[-1] - cell.times[0]
    size = sum(len(json.dumps(message, default=str)) for message in cell.messages)
    print(f"{len(cell.messages)} messages, {size:,} bytes, {seconds:.1f} s for {len(answer):,} characters")
    assert size <= 150_000
    assert len(cell.messages) / seconds <= 25
    # The last words are painted soon after they came, not a period later.
    painted = [
        at
        for message, at in zip(cell.messages, cell.times, strict=True)
        if message["msg_type"] == "update_display_data"
    ]
    gaps = [after - before for before, after in pairwise(painted)]
    assert max(gaps) < stretched(0.8)


@pytest.mark.parametrize(
    ("line", "body", "words"),
    [
        ("--modle x", "Hi", "There is no option --modle. Did you mean --model?"),
        ("--zzz x", "Hi", "There is no option --zzz. See %%openrouter -h."),
        ("", "  ", "The prompt is empty: write it below the %%openrouter line."),
        ("a/b what is that", "Hi", "What does 'what is that' mean? The prompt goes below the first line"),
        ("-o 3x", "Hi", "-o takes the name of a variable; '3x' is none."),
        ("-o class", "Hi", "-o takes the name of a variable; 'class' is none."),
        ("-t hot", "Hi", "invalid float value: 'hot'"),
        ("-s 'open", "Hi", "No closing quotation"),
        ("a/b -m c/d", "Hi", "Two models are given: a/b and c/d."),
    ],
)
def test_a_wrong_line_is_one_line_of_help(
    kernel: Kernel, endpoint: ScriptedOpenRouter, line: str, body: str, words: str
) -> None:
    asked = len(endpoint.requests)
    (cell,) = kernel.run(f"%%openrouter {line}\n{body}")
    assert cell.status == "error"
    (said,) = cell.content["traceback"]
    assert said.startswith("openrouter: ")
    assert words in said
    assert len(endpoint.requests) == asked


def test_the_manual(kernel: Kernel) -> None:
    (shown,) = kernel.run("%%openrouter -h\n")
    assert shown.printed.startswith("usage: %%openrouter [MODEL]")
    (asked,) = kernel.run("%%openrouter?")
    assert "bind the reply to a variable" in asked.content["payload"][0]["data"]["text/plain"]


def test_braces_and_dollars_in_the_line_mean_nothing(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("Hi."))
    kernel.run("name = 'expanded'")
    kernel.run('%%openrouter -s "{name} $name {{x}}"\n$name {{name}}')
    assert [message["content"] for message in endpoint.request.json["messages"]] == [
        "{name} $name {{x}}",
        "$name {{name}}",
    ]


def test_a_reply_as_the_last_line_shows_itself(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("**Hi** <img src=x>"))
    kernel.run("%%openrouter -o reply\nHi")
    (shown,) = kernel.run("reply")
    assert shown.of("execute_result")[0]["data"]["text/markdown"] == "**Hi** &lt;img src=x>"


def test_unloading_leaves_nothing(kernel: Kernel) -> None:
    seen = (
        "(len(ip.input_transformers_post), len(ip.input_transformers_cleanup), len(ip.configurables),"
        " sorted(ip.magics_manager.magics['cell']), sorted(ip.magics_manager.magics['line']),"
        " sorted(ip.magics_manager.registry), [len(f.type_printers) + len(f.deferred_printers)"
        " for f in ip.display_formatter.formatters.values()])"
    )
    kernel.run("ip = get_ipython()", "%unload_ext orchat")
    before = kernel.value(seen)
    kernel.run("%load_ext orchat", "%reload_ext orchat")
    assert kernel.value("'openrouter' in ip.magics_manager.magics['cell']") == "True"
    assert kernel.value("len(ip.input_transformers_post)") == str(eval(before)[0] + 1)
    kernel.run("%unload_ext orchat")
    after = kernel.value(seen)
    kernel.run("%load_ext orchat")
    assert after == before
