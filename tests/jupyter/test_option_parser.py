"""The options of a line: what they become in a request, and what a wrong one is told."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError
from pydantic import BaseModel

from orchat.errors import ConfigurationError
from orchat.files import shortened_path
from orchat.jupyter.kernel.output.answer_formats import cell_code, render_as
from orchat.jupyter.magic.line_tokenizer import split_prompt, split_words
from orchat.jupyter.magic.option_parser import generation_kwargs, help_text, parse_options, resolve_tools
from orchat.messages import AudioContent, FileContent, ImageContent, TextContent, VideoContent
from orchat.rendering.attachments import attachment, attachment_label
from orchat.tools import tool
from tests.files.odd_paths import ODD, make_odd
from tests.patience import stretched


class Person(BaseModel):
    name: str


@pytest.mark.parametrize(
    ("line", "kwargs"),
    [
        ("", {}),
        ("a/b -t 0 -n 50 --seed 7", {"temperature": 0.0, "max_tokens": 50, "seed": 7}),
        ("-p top_p=0.9 -p stop=END --param verbosity=low", {"top_p": 0.9, "stop": "END", "verbosity": "low"}),
        ('-p stop=["a b", "c"]', {"stop": ["a b", "c"]}),
        ("-p 'stop=[\"a b\"]' -p logit_bias='{\"1\": 2}'", {"stop": ["a b"], "logit_bias": {"1": 2}}),
        ("-p=top_k=3 --param=logprobs=true -p a=True -p b=None", {"top_k": 3, "logprobs": True, "a": True, "b": None}),
        ('--provider {"order": ["x", "y"], "zdr": true}', {"provider": {"order": ["x", "y"], "zdr": True}}),
        ('--provider=\'{"sort": "price"}\'', {"provider": {"sort": "price"}}),
        ("--reasoning high --fallback a/b --fallback c/d", {"reasoning": {"effort": "high"}, "models": ["a/b", "c/d"]}),
        ("--web", {"server_tools": [{"type": "openrouter:web_search"}]}),
        ("--web -p tools=[{}]", {"tools": [{}], "server_tools": [{"type": "openrouter:web_search"}]}),
        ("-f json", {"response_format": {"type": "json_object"}}),
        ("--schema Person", {"response_format": Person}),
        ("--schema Person -f json", {"response_format": Person}),
        ("--schema list[Person]", {"response_format": list[Person]}),
        ("--schema 'list[Person | None]'", {"response_format": list[Person | None]}),
        ("--schema list[Literal['a','b']]", {"response_format": list[Literal["a", "b"]]}),
        ("--schema shape", {"response_format": {"type": "object"}}),
        ('--schema {"type": "object", "title": "A b"}', {"response_format": {"type": "object", "title": "A b"}}),
        ("-p temperature=1 -t 0", {"temperature": 0.0}),
        ("-f text --raw --no-stream --dry-run --debug -s x -o y -a z", {}),
    ],
)
def test_what_goes_into_the_request(line: str, kwargs: dict[str, Any]) -> None:
    assert generation_kwargs(parse_options(line), {"Person": Person, "shape": {"type": "object"}}) == kwargs


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--max-token 3", "There is no option --max-token. Did you mean --max-tokens?"),
        ("--temp 0", "There is no option --temp. Did you mean --temperature?"),
        ("-n none", "Argument -n/--max-tokens: 'none' is no whole number from 1 on."),
        ("-n 0", "Argument -n/--max-tokens: '0' is no whole number from 1 on."),
        (
            "-f markdwon",
            "Argument -f/--format: 'markdwon' is none of markdown, text, code, json. Did you mean markdown?",
        ),
        ("--reasoning hihg", "is none of max, xhigh, high, medium, low, minimal, none. Did you mean high?"),
        ("-p top_p", "Argument -p/--param: 'top_p' is not NAME=JSON, such as top_p=0.9."),
        ("-p stop=[1,", "'[1,' is no JSON"),
        ("-p seed=NaN -p a=[NaN]", "'[NaN]' is no JSON"),
        ("-p model=x", "model is for -m to say"),
        ("-p stream=false", "stream is for --no-stream to say"),
        ("--provider price", '\'price\' is no JSON object, such as {"name": "value"}'),
        ("--provider [1]", "'[1]' is no JSON object"),
        ("--schema Persn", "--schema: there is no variable Persn. Did you mean Person?"),
        (
            "--schema zzz",
            "--schema: there is no variable zzz. Give a pydantic class, a dict, a JSON Schema or list[CLASS].",
        ),
        (
            "--schema number",
            "--schema takes a pydantic class, list[CLASS], a dict or a JSON Schema; number is of type int.",
        ),
        ("--schema list[Persn]", "--schema: there is no variable Persn. Did you mean Person?"),
        ("--schema list[print(7)]", "--schema: 'list[print(7)]' is no type."),
        ("--schema Person.mro", "--schema: 'Person.mro' is no type."),
        ("--schema number[0]", "--schema: 'number[0]' is no type."),
        ("--schema list[", "--schema: 'list[' is no type."),
        ("--schema {'a'}", "'{a}' is no JSON object"),
        ("-s 'open", "No closing quotation in: -s 'open"),
        ('-s a"b', "No closing quotation"),
        ("--seed", "expected one argument"),
        ("-t 0 -- hi", "What does '-- hi' mean? The prompt goes below the first line"),
    ],
)
def test_a_wrong_one_says_what_to_do(line: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        generation_kwargs(parse_options(line), {"Person": Person, "number": 7})
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), _JSON, max_size=4), st.booleans())
def test_json_survives_with_and_without_quotes(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_options(f"a/b --provider {text} -t 0").provider == value
    assert parse_options(f"a/b -p x={text} -t 0").param == [("x", value)]
    if "'" not in text:
        assert parse_options(f"a/b --provider '{text}' -t 0").provider == value


@given(st.text(max_size=40))
def test_any_line_is_words_or_one_sentence(line: str) -> None:
    with suppress(UsageError):
        assert len(split_words(line)) <= len(line)
        before, prompt = split_prompt(line)
        assert prompt is None or line.startswith(before + "--")


def test_the_prompt_of_a_line_is_what_follows_two_dashes() -> None:
    assert split_prompt("-- why -- so {x}?  ") == ("", "why -- so {x}?")
    assert split_prompt("models free") == ("models free", None)
    assert split_prompt("a/b --") == ("a/b ", "")
    assert split_prompt("-- it's 5\" long") == ("", "it's 5\" long")


def test_the_manual_has_ten_everyday_options_first() -> None:
    everyday, more = help_text().partition("everyday:")[2].split("more:")
    listed = [line.split()[0].rstrip(",") for line in everyday.splitlines() if line.startswith("  -")]
    assert listed == ["-m", "-o", "-s", "-t", "-n", "-a", "-f", "--chat", "-T", "-h"]
    for option in (
        "--new",
        "--no-history",
        "--approve",
        "--max-cost",
        "--schema",
        "--web",
        "--seed",
        "-p",
        "--reasoning",
        "--provider",
        "--fallback",
        "--no-stream",
        "--raw",
        "--dry-run",
    ):
        assert f"  {option}" in more


@pytest.mark.parametrize("kind", ODD)
def test_a_path_that_leads_to_no_readable_file_is_named_within_a_second(tmp_path: Path, kind: str) -> None:
    path = make_odd(kind, tmp_path)
    started = time.monotonic()
    with pytest.raises(ConfigurationError) as raised:
        attachment(path)
    assert time.monotonic() - started < stretched(1)
    named = str(raised.value)
    assert shortened_path(path) in named
    assert named.isprintable()
    assert "There is no file" in named if kind == "missing" else f"cannot be read: {ODD[kind]}" in named
    assert len(named) < 450


def test_a_home_folder_of_nobody_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"~nobody-of-that-name/a begins with a user who has no home folder"):
        attachment("~nobody-of-that-name/a")


def test_files_go_along_by_their_type(tmp_path: Path) -> None:
    def part(name: str, data: bytes) -> object:
        (tmp_path / name).write_bytes(data)
        return attachment(str(tmp_path / name))

    png = b"\x89PNG\r\n\x1a\n"
    image = part("a.png", png)
    assert isinstance(image, ImageContent)
    assert image.mime_type == "image/png"
    pdf = part("a.pdf", b"%PDF-1.4")
    assert isinstance(pdf, FileContent)
    assert (pdf.filename, pdf.mime_type) == ("a.pdf", "application/pdf")
    sound = part("a.mp3", b"ID3")
    assert isinstance(sound, AudioContent)
    assert sound.format == "mp3"
    assert isinstance(part("a.mp4", b"ftyp"), VideoContent)
    for name, data in (
        ("a.csv", b"x,y\n1,2"),
        ("a.svg", b"<svg/>"),
        ("a.ts", b"let x"),
        ("Makefile", b"\xef\xbb\xbfall:"),
    ):
        text = part(name, data)
        assert isinstance(text, TextContent)
        assert text.text.startswith(f"The file {name}:\n\n{data.removeprefix(bytes([239, 187, 191])).decode()}\n")
    assert attachment_label(str(tmp_path / "a.csv"), text) == "a.csv (text)"
    for encoding in ("utf-16", "utf-16-be", "utf-32"):
        mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
        assert part("excel.txt", mark + "Höhe\t1\n".encode(encoding)).text.startswith(
            "The file excel.txt:\n\nHöhe\t1\n"
        )
    with pytest.raises(ConfigurationError, match=r"old.csv is text in another encoding than UTF-8. Save it as UTF-8"):
        part("old.csv", "Höhe;1\r\n".encode("latin-1"))
    for name, data in (("a.bin", b"\x00\x01"), ("a.dat", b"\xff\xfe\x01\x00"), ("a.xls", b"\xd0\xcf\x11\xe0\xff")):
        with pytest.raises(ConfigurationError, match=f"{name} is neither text, image, PDF, sound nor video"):
            part(name, data)
    with pytest.raises(ConfigurationError, match="400,001 characters"):
        part("long.txt", b"x" * 400_001)
    with pytest.raises(ConfigurationError, match=r"There is no file .*a\.pgn\. Did you mean .*a\.png\?"):
        attachment(str(tmp_path / "a.pgn"))
    with pytest.raises(ConfigurationError, match="There is no folder"):
        attachment(str(tmp_path / "nowhere" / "a.png"))


def test_addresses_go_along_unread() -> None:
    for url, kind in (
        ("a.png", ImageContent),
        ("a.pdf", FileContent),
        ("a.mp4", VideoContent),
        ("2401.00001", FileContent),
    ):
        part = attachment(f"https://example.org/{url}?x=1")
        assert isinstance(part, kind)
        assert part.url == f"https://example.org/{url}?x=1"
    with pytest.raises(ConfigurationError, match="With --web the model can read it"):
        attachment("https://example.org/index.html")
    with pytest.raises(ConfigurationError, match="attach the file"):
        attachment("https://example.org/a.mp3")


def test_literal_text_and_json_are_blocks() -> None:
    assert render_as("text", "# a\n```\n<b>\n```") == "````text\n# a\n```\n<b>\n```\n````"
    assert render_as("json", '{"a": ["\u00e9"]}') == '```json\n{\n  "a": [\n    "\u00e9"\n  ]\n}\n```'
    assert render_as("json", '{"a": [1') == '```json\n{"a": [1\n```'
    assert render_as("json", "") == render_as("text", "") == ""
    assert render_as("code", "<b>") == render_as("markdown", "<b>") == "&lt;b>"


def test_the_code_of_an_answer() -> None:
    assert cell_code("No code here, only `x`.") is None
    assert cell_code("```\n\nx = 1\n\n```") == "x = 1"
    assert cell_code("~~~python title\nx = '''\n```\n'''\n~~~") == "x = '''\n```\n'''"
    assert cell_code("````py\n```\n````\n```sh\nrm x\n```\n```python\nnever ends") == "```"
    assert cell_code("```python\nprint('\x1b[2J')\n```") == "print('[2J')"


def test_a_name_may_be_that_of_a_list_of_tools() -> None:
    def tide(port: str) -> None: ...

    def depth(port: str) -> None: ...

    names: dict[str, object] = {"both": [tide, tool(depth)], "one": (tide,), "odd": [tide, 3], "none": []}
    assert [each.name for each in resolve_tools(["both"], names, {})] == ["tide", "depth"]
    assert [each.name for each in resolve_tools(["one"], names, {})] == ["tide"]
    with pytest.raises(UsageError, match=r"-T: odd\[1\] is no tool"):
        resolve_tools(["odd"], names, {})
    with pytest.raises(UsageError, match="-T: none is empty"):
        resolve_tools(["none"], names, {})


@pytest.mark.parametrize("name", ["print", "In", "Out", "_", "__", "__name__", "get_ipython", "exit"])
def test_a_name_that_all_cells_need_is_not_bound(name: str) -> None:
    with pytest.raises(UsageError, match=f"-o {name}: other cells need what .* calls {name}. Take another name"):
        parse_options(f"-o {name}")


@pytest.mark.parametrize("twice", ["-o a -o b", "--seed 0 --seed 0", "-t 0 --temperature 1", "-f json -f code"])
def test_an_option_with_one_value_stands_there_once(twice: str) -> None:
    with pytest.raises(UsageError, match="is given twice: leave one out"):
        parse_options(twice)
    assert parse_options("-a x -a y -T f -T g").attach == ["x", "y"]


def test_a_tool_that_is_named_twice_is_one() -> None:
    def tide(port: str) -> str:
        """Say when the tide is high."""
        return port

    assert len(resolve_tools(["tide", "tide"], {"tide": tide}, {})) == 1
