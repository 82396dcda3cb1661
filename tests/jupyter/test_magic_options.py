"""The options of ``%%openrouter`` and values in its prompts, in a real kernel."""

from __future__ import annotations

import json
import threading
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from orchat.jupyter.magic.type_expressions import TypeNameError, resolve_type
from tests.jupyter.conftest import KEY
from tests.jupyter.kernel import SOON, Ended, Kernel
from tests.jupyter.prompts import UNHARMED, every_name
from tests.openrouter_server import ScriptedOpenRouter, done, error, event, finish, stream, text, usage
from tests.patience import stretched

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"


def ask(kernel: Kernel, cell: str) -> Ended:
    (ended,) = kernel.run(cell)
    assert ended.status == "ok", ended.content
    return ended


def content(endpoint: ScriptedOpenRouter) -> Any:
    return endpoint.request.json["messages"][-1]["content"]


def test_forty_prompts_are_sent_unharmed(endpoint: ScriptedOpenRouter) -> None:
    names = sorted({name for prompt in UNHARMED.values() for name in every_name(prompt)})
    with Kernel({"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}) as kernel:
        kernel.run("%load_ext orchat")
        (defined,) = kernel.run(
            "class Anything(str):\n    __getattr__ = __getitem__ = lambda self, key: self\n"
            f"globals().update(dict.fromkeys({names!r}, Anything('REPLACED')))"
        )
        assert defined.status == "ok", defined.content
        for prompt in UNHARMED.values():
            ask(kernel, f"%%openrouter\n{prompt}")
            assert content(endpoint) == prompt
        ask(kernel, "%%openrouter\nWhat is {total}?")
        assert content(endpoint) == "What is REPLACED?"


def test_values_are_put_in_and_told_below(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    kernel.run(
        "import pandas\ntides = pandas.DataFrame({'port': ['Hull', 'Goole'], 'level': [7.1, 3.2]})",
        "from PIL import Image\npicture = Image.new('RGB', (40, 30))\nport = 'Hull'",
    )
    endpoint.answers(text("Nothing."))
    cell = ask(kernel, "%%openrouter\nWhat is odd in {port}?\n{tides}\nAnd here? {picture}")
    words, image = content(endpoint)
    assert words["text"].startswith("What is odd in Hull?\n")
    assert "Goole" in words["text"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    footer = cell.bundles[-1]["text/plain"].splitlines()[-1]
    assert " · with port (text, 1 token), tides (schema and 2 of 2 rows, " in footer
    assert "picture (" in footer
    endpoint.answers(text("Nothing."))
    cell = ask(kernel, "%%openrouter --raw\nWhat is odd in {port}?")
    assert content(endpoint) == "What is odd in {port}?"
    assert cell.bundles[-1]["text/plain"].endswith(" · with 1 earlier turn")


def test_in_out_and_err(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    fine = ask(kernel, "6 * 7").content["execution_count"]
    kernel.run("key = 'sk-or-v1-0123456789abcdef'\nraise ValueError('bad ' + key)")
    ask(kernel, f"%%openrouter\n{{In[{fine}]}} is {{Out[{fine}]}}. {{Err[{fine + 1}]}}")
    sent = content(endpoint)
    assert sent.startswith("6 * 7 is 42. ---")
    assert "ValueError: bad [redacted]" in sent
    assert "\x1b" not in sent
    assert "sk-or" not in sent
    cell = ask(kernel, "%%openrouter\nExplain {Err[999999]} and {Out[999999]}.")
    assert content(endpoint) == "Explain {Err[999999]} and {Out[999999]}."
    assert cell.printed == (
        "openrouter: {Err[999999]} is sent as it is: Err has no item 999999; "
        "{Out[999999]} is sent as it is: Out has no item 999999\n"
    )


def test_a_secret_in_the_prompt_is_named_and_stays_behind(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    token = "gh" + "p_" + "aB3dE5fG7hI9" * 3
    kernel.run(f"db_password = 'hunter2'; conf = {{'api_key': 'tide', 'port': 'Hull'}}; note = 'push with {token}'")
    endpoint.answers(text("Hm."))
    cell = ask(kernel, f"%%openrouter\nIs {token} valid? {{db_password}} {{conf['api_key']}} {{conf['port']}} {{note}}")
    assert content(endpoint) == "Is [redacted] valid? [redacted] [redacted] Hull push with [redacted]"
    assert cell.printed == (
        "openrouter: that looks like a GitHub token: it goes out as [redacted]; --allow-secrets sends it\n"
    )
    endpoint.answers(text("Hm."))
    cell = ask(kernel, f"%%openrouter --new --allow-secrets\nIs {token} valid? {{db_password}} {{conf}} {{note}}")
    sent = content(endpoint)
    assert sent.startswith(f"Is {token} valid? hunter2 ")
    assert '"api_key": "[redacted]"' in sent  # what no field of the prompt names stays here
    assert sent.endswith(f"push with {token}")
    assert cell.printed == ""


def test_a_secret_in_an_attached_file_is_named_and_stays_behind(
    kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    (tmp_path / "prod.env").write_text("DB_HOST=db1\nDB_PASSWORD=hunter2xyz\n")
    (tmp_path / "users.csv").write_text("user,password\nada,tr0ub4dor\n")
    cell = ask(kernel, f"%%openrouter --new -a {tmp_path}/prod.env -a {tmp_path}/users.csv\nWhat is it?")
    sent = json.dumps(content(endpoint))
    assert "DB_HOST=db1" in sent
    assert "hunter2xyz" not in sent
    assert "tr0ub4dor" not in sent
    assert cell.printed == (
        f"openrouter: {tmp_path}/prod.env holds what looks like the value of DB_PASSWORD: it goes out as [redacted]; "
        f"--allow-secrets sends it; {tmp_path}/users.csv holds what looks like the value of password: it goes out as "
        "[redacted]; --allow-secrets sends it\n"
    )
    cell = ask(kernel, f"%%openrouter --new --allow-secrets -a {tmp_path}/prod.env\nWhat is it?")
    assert "DB_PASSWORD=hunter2xyz" in json.dumps(content(endpoint))
    assert cell.printed == ""
    assert "hunter2xyz" not in json.dumps(cell.bundles)  # what is kept of the turn holds no secret


NETRC = "machine db\n  login ada\n  password hunter2xyz\n"


def test_what_a_command_printed_stays_behind(kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(NETRC)
    (tmp_path / "users.txt").write_text("user  password\nada   tr0ub4dor\n")
    kernel.run(f"lines = !cat {tmp_path}/netrc {tmp_path}/users.txt")
    ask(kernel, "%%openrouter --new\nWhat is {lines} and {lines.n}?")
    sent = json.dumps(content(endpoint))
    assert "hunter2xyz" not in sent
    assert "tr0ub4dor" not in sent
    assert sent.count("password [redacted]") == 2
    (failed,) = kernel.run("int(lines)")
    assert failed.status == "error"
    ask(kernel, "%openrouter fix")
    sent = json.dumps(content(endpoint))
    assert "login ada" in sent
    assert "hunter2xyz" not in sent
    assert "tr0ub4dor" not in sent


def test_an_answer_with_a_secret_is_shown_and_not_kept(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    token = "gh" + "p_" + "aB3dE5fG7hI9" * 3
    for _ in range(2):  # told each time: it is about this output
        endpoint.answers(text(f"Take {token}."))
        cell = ask(kernel, "%%openrouter --new\nMake up a token.")
        shown = cell.bundles[-1]
        assert token in shown["text/plain"]
        assert (
            "openrouter: This turn is kept in the memory of this kernel only: the answer holds what looks like a GitHub"
            " token. Jupyter saves the output that you see all the same when it saves the notebook: clear it first.\n"
        ) in cell.printed
        assert not any(token in json.dumps(value) for mime, value in shown.items() if mime.startswith("application/"))


def test_what_a_model_would_have_to_invent_is_not_sent(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    kernel.run("sales = [1, 2]")
    asked = len(endpoint.requests)
    for prompt, told in (
        ("Sum up {salse}.", "{salse}: there is no variable salse; did you mean sales?"),
        ("There are {len(sales)}.", "{len(sales)} is more than a variable: assign it first, `value = len(sales)`"),
    ):
        (cell,) = kernel.run(f"%%openrouter\n{prompt}")
        assert cell.status == "error"
        (line,) = cell.content["traceback"]
        assert told in line
        assert "--raw sends it as it stands" in line
        assert len(endpoint.requests) == asked
    ask(kernel, "%%openrouter --raw\nThere are {len(sales)}.")
    assert content(endpoint) == "There are {len(sales)}."
    cell = ask(kernel, "%%openrouter\nSum up {zzz}.")
    assert content(endpoint) == "Sum up {zzz}."
    assert cell.printed == "openrouter: {zzz} is sent as it is: there is no variable zzz\n"
    # What IPython puts among the user's names is none of them.
    cell = ask(kernel, "%%openrouter\nUse {exit} and {open}.")
    assert content(endpoint) == "Use {exit} and {open}."


def test_everything_goes_into_the_request(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    ask(
        kernel,
        '%%openrouter a/b -n 50 --seed 7 -p top_p=0.9 -p stop=["END"] --provider {"sort": "price"} --fallback c/d'
        " --reasoning low --web\nHi",
    )
    body = endpoint.request.json
    assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
    assert body == {
        "model": "a/b",
        "n": 1,
        "stream": True,
        "stream_options": {"include_usage": True},  # but to OpenRouter
        "top_p": 0.9,
        "stop": ["END"],
        "max_tokens": 50,
        "seed": 7,
        "provider": {"sort": "price"},
        "reasoning": {"effort": "low"},
        "models": ["c/d"],
        "tools": [{"type": "openrouter:web_search"}],
    }


@pytest.mark.parametrize("text", ["Color[int]", "Registry[int]", "Meta[int]", "registry[int]", "list[Color[int]]"])
def test_brackets_behind_a_name_run_nothing_of_the_notebook(text: str) -> None:
    class WithBrackets(type):
        def __getitem__(cls, key: object) -> object:
            raise AssertionError("run")

    class Registry:
        def __class_getitem__(cls, key: object) -> object:
            raise AssertionError("run")

        def __getitem__(self, key: object) -> object:
            raise AssertionError("run")

    Registry.__module__ = "__main__"
    names = {"Color": Enum("Color", "RED"), "Registry": Registry, "Meta": WithBrackets("Meta", (), {})}
    with pytest.raises(TypeNameError, match="is no type"):
        resolve_type(text, {**names, "registry": Registry()})


def test_a_schema_makes_an_object(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    kernel.run("from pydantic import BaseModel\nclass Person(BaseModel):\n    name: str\n    age: int")
    endpoint.answers(text('{"name": "Ada", "age": 36}'))
    ask(kernel, "%%openrouter --schema Person -o reply\nWho?")
    assert endpoint.request.json["response_format"]["json_schema"]["name"] == "Person"
    assert kernel.value("reply.parsed") == "Person(name='Ada', age=36)"
    endpoint.answers(text('{"items": [{"name": "Ada", "age": 36}, {"name": "Alan", "age": 41}]}'))
    ask(kernel, "%%openrouter --schema list[Person] -o people\nWho?")
    assert endpoint.request.json["response_format"]["json_schema"]["strict"] is True
    assert kernel.value("people.parsed[1]") == "Person(name='Alan', age=41)"
    assert kernel.value("(people.frame().shape, list(people.frame()['age']))") == "((2, 2), [36, 41])"
    endpoint.answers(text('{"answer": "bad"}'))
    ask(kernel, """%%openrouter --schema "Literal['good', 'bad']" -o reply\nHow?""")
    assert kernel.value("reply.parsed") == "'bad'"
    endpoint.answers(text('{"name": 7}'))
    schema = '{"type": "object", "properties": {"name": {"type": "string"}}}'
    (cell,) = kernel.run(f"%%openrouter --schema {schema} -o reply\nWho?")
    assert cell.status == "error"
    assert "OutputValidationError" in cell.content["traceback"][0]
    assert kernel.value("(reply.text, reply.parsed)") == repr(('{"name": 7}', None))


def test_json_is_asked_for_and_shown_pretty(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text('{"a": [1, 2]}'))
    cell = ask(kernel, "%%openrouter -f json -o reply\nSome JSON.")
    assert endpoint.request.json["response_format"] == {"type": "json_object"}
    assert cell.bundles[-1]["text/markdown"].startswith('```json\n{\n  "a": [\n    1,\n    2\n  ]\n}\n```\n\n*')
    assert kernel.value("reply.parsed") == "{'a': [1, 2]}"


def test_text_is_shown_as_it_is(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("# No *heading* <b>\n").paced(0.4))
    (cell,) = kernel.run("%%openrouter -f text\nHi", cell_ids=["a"])
    assert cell.bundles[-1]["text/markdown"].startswith("```text\n# No *heading* <b>\n\n```\n\n*")
    assert cell.bundles[-1]["text/plain"].startswith("# No *heading* <b>\n")
    assert any(bundle["text/markdown"].startswith("```text\n# No") for bundle in cell.bundles[:-1])


def test_code_becomes_the_proposal_of_a_cell(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("Here:\n```python\nproposed = 1\n```\n"))
    cell = ask(kernel, '%%openrouter -f code -s "Be brief."\nSet it.')
    assert endpoint.request.json["messages"][0]["content"].startswith("Be brief.\n\nAnswer with the Python code")
    assert cell.content["payload"] == [{"source": "set_next_input", "text": "proposed = 1", "replace": False}]
    assert kernel.value("'proposed' in globals()") == "False"
    endpoint.answers(text("I would rather not."), stream(event("```python\nx = 1\n```\n")).ending("reset"))
    refused = ask(kernel, "%%openrouter -f code\nSet it.")
    assert refused.content["payload"] == []
    assert "the answer holds no Python code, so that no cell is proposed." in refused.printed
    (cut,) = kernel.run("%%openrouter -f code\nSet it.")
    assert cut.status == "error"
    assert not cut.content.get("payload")


def test_files_go_along(kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    (tmp_path / "tide times.csv").write_text("port,level\nHull,7.1\n")
    url = "https://example.org/tide.png"
    cell = ask(kernel, f"%%openrouter -a '{tmp_path}/tide times.csv' --attach {url}\nHigh?")
    file, image, prompt = content(endpoint)
    assert "Hull,7.1" in file["text"]
    assert image == {"type": "image_url", "image_url": {"url": url}}
    assert prompt == {"type": "text", "text": "High?"}
    assert "with tide times.csv (text), tide.png (image)" in cell.bundles[-1]["text/plain"]
    asked = len(endpoint.requests)
    (cell,) = kernel.run(f"%%openrouter -a '{tmp_path}/tide tims.csv'\nHigh?")
    assert cell.content["traceback"] == [
        f"openrouter: -a: There is no file {tmp_path}/tide tims.csv. Did you mean {tmp_path}/tide times.csv?"
    ]
    assert len(endpoint.requests) == asked


def test_a_whole_answer(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("All at once."))
    (cell,) = kernel.run("%%openrouter --no-stream -o reply\nHi", cell_ids=["whole"])
    assert endpoint.request.json["stream"] is False
    assert [bundle["text/markdown"][:8] for bundle in cell.bundles] == ["*waiting", "All at o"]
    assert kernel.value("(reply.text, reply.finish_reason)") == "('All at once.', 'stop')"
    endpoint.answers(error(402, "Insufficient credits"))
    (cell,) = kernel.run("%%openrouter --no-stream -o reply\nHi")
    (line,) = cell.content["traceback"]
    assert line.startswith("openrouter: InsufficientCreditsError: ")
    # Where a page shows the card, the line below does not say the same again.
    endpoint.answers(error(402, "Insufficient credits"))
    (told,) = kernel.run("%%openrouter --no-stream -o reply\nHi", cell_ids=["told"])
    assert told.content["traceback"] == ["openrouter: this cell failed, as told above"]
    assert told.content["evalue"].startswith("InsufficientCreditsError: ")
    endpoint.answers(stream(event("One")).ending("eof"))
    (cut,) = kernel.run("%%openrouter -o reply\nHi")
    assert "partial" not in cut.bundles[-1]["text/markdown"]
    assert "Try again" in cut.bundles[-1]["text/markdown"]
    gate = threading.Event()
    endpoint.answers(text("late").held(gate))
    asked = len(endpoint.requests)
    (cell,) = kernel.run("%%openrouter --no-stream\nHi", interrupt_when=lambda _: endpoint.requests[asked:])
    gate.set()
    assert cell.content["traceback"] == ["openrouter: interrupted; what arrived is kept"]
    assert cell.seconds < stretched(SOON)


def test_a_dry_run_sends_nothing(kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4" + b"x" * 3_000)
    kernel.run("port = 'Hull'")
    asked = len(endpoint.requests)
    cell = ask(kernel, f"%%openrouter a/b --dry-run -t 0 -s Brief. -a {tmp_path}/a.pdf -o unbound\nTide at {{port}}?")
    body = json.loads(cell.printed)
    assert (body["model"], body["temperature"], body["stream"]) == ("a/b", 0, True)
    assert body["messages"][0] == {"role": "system", "content": "Brief."}
    file, prompt = body["messages"][1]["content"]
    assert prompt["text"] == "Tide at Hull?"
    assert file["file"]["file_data"].endswith("… (4,012 characters)")
    assert "sk-or" not in json.dumps(cell.messages, default=str)
    assert (len(endpoint.requests), cell.bundles) == (asked, [])
    cell = ask(kernel, "%%openrouter local/smollm2-135m-instruct --dry-run --no-stream\nHi")
    assert json.loads(cell.printed) == {
        "model": "local/smollm2-135m-instruct",
        "messages": [{"role": "user", "content": "Hi"}],
        "n": 1,
        "stream": False,
        "max_tokens": 512,
    }


def test_a_dry_run_needs_no_key(tmp_path: Path) -> None:
    with Kernel({"HOME": str(tmp_path)}) as keyless:
        keyless.run("%load_ext orchat")
        assert json.loads(ask(keyless, "%%openrouter --dry-run\nHi").printed)["model"] == "openai/gpt-4o-mini"


def test_debug_shows_the_whole_traceback(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(error(401, "No auth credentials found"))
    (cell,) = kernel.run("%%openrouter --debug -o reply\nHi")
    assert cell.content["ename"] == "AuthenticationError"
    assert len(cell.content["traceback"]) > 3
    assert "sk-or" not in json.dumps([cell.content, cell.messages], default=str)
    assert kernel.value("reply.message.meta['ending']") == "'failed'"


def test_a_usage_without_a_body_is_told(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(stream(event("Hi."), finish("stop"), usage(), done()))
    for line, words in (
        ("--shcema Person", "There is no option --shcema. Did you mean --schema?"),
        ("--schema Persno", "--schema: there is no variable Persno. Did you mean Person?"),
        ("-f pdf", "'pdf' is none of markdown, text, code, json."),
    ):
        (cell,) = kernel.run(f"%%openrouter {line}\nHi")
        (said,) = cell.content["traceback"]
        assert said.startswith("openrouter: ")
        assert words in said
    ask(kernel, "%%openrouter\nHi")
