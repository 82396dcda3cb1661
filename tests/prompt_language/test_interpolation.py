"""Values in prompts: where a field is one, what comes of it, and forty prompts that nothing may happen to."""

from __future__ import annotations

import keyword
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchat.messages import AudioContent, ImageContent, TextContent
from orchat.prompt_language.interpolation import Prompt, interpolate, verbatim_prompt
from orchat.secrets import is_secret_name
from tests.jupyter.prompts import UNHARMED, every_name
from tests.openrouter_server import PNG


class Anything:
    """Has every attribute and every item, and is seen at once where it is put in."""

    def __getattr__(self, name: str) -> Any:
        return Anything() if not name.startswith("_") else super().__getattribute__(name)

    def __getitem__(self, key: object) -> Any:
        return Anything()

    def _repr_llm_(self) -> str:
        return "REPLACED"


def sent(text: str, **names: object) -> str:
    """What is sent for a prompt of text only."""
    prompt = interpolate(text, names)
    assert prompt.text is not None
    return prompt.text


def test_there_are_forty() -> None:
    assert len(UNHARMED) == 40


@pytest.mark.parametrize("text", UNHARMED.values(), ids=list(UNHARMED))
def test_unharmed(text: str) -> None:
    names = {name: Anything() for name in every_name(text)}
    prompt = interpolate(text, names)
    assert prompt.text == text
    assert prompt.sent == ()
    assert prompt.refusal is None


@pytest.mark.parametrize("text", UNHARMED.values(), ids=list(UNHARMED))
def test_it_is_not_the_names_that_protect_them(text: str) -> None:
    for name in every_name(text):
        if not keyword.iskeyword(name) and not name.startswith("__") and not is_secret_name(name):
            assert sent(f"What is {{{name}}}?", **{name: Anything()}) == "What is REPLACED?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}", "Ada"),
        ("Greet {name}.", "Greet Ada."),
        ("{name}, {name}! ({name}) '{name}' **{name}** {name}'s", "Ada, Ada! (Ada) 'Ada' **Ada** Ada's"),
        ("\u201c{name}\u201d, \u00ab{name}\u00bb \u2014 {n}", "\u201cAda\u201d, \u00abAda\u00bb \u2014 7"),
        ("Name:{name}, pre-{name}, {name}-{name}/{name}", "Name:Ada, pre-Ada, Ada-Ada/Ada"),
        ("{n}th, {n}%, \u20ac{n}, {name}.csv, \"{name}\"", '7th, 7%, \u20ac7, Ada.csv, "Ada"'),
        ("<question>{name}</question>", "<question>Ada</question>"),
        ("(1-{n}) {name}@hull.org, {name}.{name}", "(1-7) Ada@hull.org, Ada.Ada"),
        ("with the data below:\n  {name}", "with the data below:\n  Ada"),
        ("<document>\n{name}\n</document>", "<document>\nAda\n</document>"),
        ('Summarize """{name}""" in a line.', 'Summarize """Ada""" in a line.'),
        ("Name: {name}\nAge: {n}\n- {name};\n> {name}", "Name: Ada\nAge: 7\n- Ada;\n> Ada"),
        ("Given that a = {n} and b = {n}, what is a + b?", "Given that a = 7 and b = 7, what is a + b?"),
        ("It costs $5, and {name} pays $6.", "It costs $5, and Ada pays $6."),
        ("{user.name} of {user.home.city}", "Ada of Hull"),
        ('{ages["Ada"]}, {ages[\'Ada\']}, {items[0]}, {items[-1]}, {items[:2]}', '36, 36, a, c, ["a", "b"]'),
        ("{grid[0, 1]} {Out[3]}", "right forty-two"),
        ("`{name}` is {name}, not ```{name}```", "`{name}` is Ada, not ```{name}```"),
        ("don't {name} it's f {name}", "don't Ada it's f Ada"),
        ("```\n{name}\n```\n{name}", "```\n{name}\n```\nAda"),
        ("an open ` tick {name}\n\nand {name} ` here", "an open ` tick Ada\n\nand Ada ` here"),
        ("an open { brace {name} and ( too {name}", "an open { brace Ada and ( too Ada"),
        ('{"a": {name}} but {name}', '{"a": {name}} but Ada'),
        ("{größe} {\u540d\u524d}", "5 Ada"),
    ],
)  # fmt: skip
def test_fields_in_prose(text: str, expected: str) -> None:
    user = SimpleNamespace(name="Ada", home=SimpleNamespace(city="Hull"))
    names = {
        "name": "Ada",
        "n": 7,
        "user": user,
        "ages": {"Ada": 36},
        "items": ["a", "b", "c"],
        "grid": {(0, 1): "right"},
        "Out": {3: "forty-two"},
        "größe": 5,
        "\u540d\u524d": "Ada",
    }
    assert sent(text, **names) == expected


def test_a_value_is_not_searched_for_fields() -> None:
    assert sent("{a} {b}", a="{b}", b="{a} `{b}`") == "{b} {a} `{b}`"


def test_nothing_is_called_and_nothing_private_to_python_is_read() -> None:
    class Trap:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"{name} was read")

        def __call__(self) -> None:
            raise AssertionError("called")

    trap = Trap()
    texts = (
        "{f()} {f.x()} {x.__class__} {x.__class__.__mro__} {x.a.__dict__} {__x} {x[f]} {x[f()]} {x[0].__init__}",
        "{x if x else x} {x:>{x}} {x!r} {x + x} {[x]} {*x} {lambda: x} {x[[f]]} {x[(f, 0)]} {x[:f]} {x[f'{f}']}",
        "{True} {None} {class} {x.class} {x[} {x['a]} {x[0x]} {x[1if]} {x['\\d']} {x.} {.x} {x..y} {x[]} {x[0]y}",
    )
    for text in texts:
        prompt = interpolate(text, {"f": trap, "x": trap, "__x": "private", "None": "no", "True": "no"})
        assert (prompt.text, prompt.sent) == (text, ()), text
    # Code that merely looks like a field: its attributes stay unread.
    assert interpolate("return {x.secret}", {"x": trap}).text == "return {x.secret}"


@pytest.mark.parametrize(
    ("text", "assigned"),
    [
        ("The statistics are {df.describe()}.", "df.describe()"),
        ("There are {len(df)} rows.", "len(df)"),
        ('The mean is {df["a"].mean()}!', 'df["a"].mean()'),
        ("({np.mean(x)})", "np.mean(x)"),
        ("The next is {n + 1}, the last {n*2}.", "n + 1"),
        ("{x[n]} is one of them.", "x[n]"),
        ("It costs {n:.2f}.", 'f"{n:.2f}"'),
        ("It is {n!r}.", 'f"{n!r}"'),
        ("All: {[each + 1 for each in x]}", "[each + 1 for each in x]"),
        ("- {sum(x)}\n- {max(x)}", "sum(x)"),
    ],
)
def test_what_is_computed_is_not_left_to_the_model(text: str, assigned: str) -> None:
    names = {"df": object(), "np": object(), "x": [1], "n": 0}
    prompt = interpolate(text, names)
    assert prompt.refusal is not None
    assert f"`value = {assigned}`" in prompt.refusal
    assert "--raw sends it" in prompt.refusal
    # What is no variable of the notebook means something else, and so does what stands in code or a template.
    others = (text.replace("{", "{{").replace("}", "}}"), f"`{text}`", f"```\n{text}\n```")
    assert [interpolate(other, names).refusal for other in others] == [None] * 3
    assert interpolate(text, {}).refusal is None


def test_a_near_match_is_refused_and_others_are_not() -> None:
    names = {"sales": {"north": 1}, "user": SimpleNamespace(name="Ada")}
    assert interpolate("{salse}", names).refusal == (
        "{salse}: there is no variable salse; did you mean sales? `{{...}}` or --raw sends it as it stands."
    )
    assert interpolate("{user.nmae}", names).refusal is not None
    for text in (
        "{zzz}",
        "{yes/no}",
        "{sales}",
        "x_{sales.x()}",
        "return {len(sales)}",
        "{1 + 1}",
        "{int(7)}",
        "{a: 1}",
    ):
        assert interpolate(text, names).refusal is None, text


@pytest.mark.parametrize(
    "text",
    [
        "The set {n | n > 0}, and {n|n>0}",
        "All of {n | f(n)}, all of {n | n + 1}",
        "One of {n|x}",
        "A template with {name | upper}",
        "Dear {firstname} {lastname}, your file is {filename}.",
        "Objects such as {n:1} and {x:10}",
        r"\sum_{n=1}^{n+1} \frac{n}{n+1}, \(x_{n-1}\), $a_{n-1}$",
        '{"n": 1, "x": {"n": 2}}, {n: 1, x: n}, {{ n + 1 }}, {% if n %}',
    ],
)
def test_mathematics_and_templates_with_the_names_of_variables_are_sent(text: str) -> None:
    names = {"n": 1, "x": 2, "name": "Ada", "upper": 3, "f": len}
    prompt = interpolate(text, names)
    assert (prompt.text, prompt.refusal) == (text, None)


def test_a_near_match_is_one_line() -> None:
    def warning(text: str) -> str | None:
        prompt = interpolate(text, {"sales": {"north": 1}, "user": SimpleNamespace(name="Ada")})
        assert prompt.text == text
        return prompt.warning

    assert warning("{salse}") == "{salse} is sent as it is: there is no variable salse; did you mean sales?"
    assert warning("{zzz}") == "{zzz} is sent as it is: there is no variable zzz"
    assert warning("{user.nmae}") == ("{user.nmae} is sent as it is: user has no attribute nmae; did you mean name?")
    assert warning("{sales['nroth']}") == (
        "{sales['nroth']} is sent as it is: sales has no item 'nroth'; did you mean north?"
    )
    assert warning("{a1} {b1} {c1} {a1}") == (
        "{a1} is sent as it is: there is no variable a1; {b1} is sent as it is: there is no variable b1; and 1 more"
    )
    assert warning("return {sales}") == "{sales} is sent as it is: that looks like code, not prose"
    assert warning("`{salse}` ```{x}``` {{salse}} x_{sales} {") is None


def test_what_fails_is_told() -> None:
    class Bad:
        @property
        def value(self) -> str:
            raise OSError("disk\nfull")

        def __getitem__(self, key: str) -> str:
            raise RuntimeError("no")

    prompt = interpolate("{bad.value} {bad['a']}", {"bad": Bad()})
    assert prompt.text == "{bad.value} {bad['a']}"
    assert prompt.warning == (
        "{bad.value} is sent as it is: reading it failed with OSError; "
        "{bad['a']} is sent as it is: reading it failed with RuntimeError"
    )


def test_tables_are_rendered_once_and_set_apart() -> None:
    import pandas

    frame = pandas.DataFrame({"port": ["Hull", "Goole"], "level": [7.1, 3.2]})
    prompt = interpolate("What is odd in {df}? Mean: {mean}", {"df": frame, "mean": "7.1, 3.2"})
    assert prompt.text is not None
    before, _, after = prompt.text.partition("\n")
    assert before == "What is odd in "
    assert "Goole" in after
    assert after.split("\n? Mean: ")[1] == "7.1, 3.2"
    assert str(prompt.sent[0]).startswith("df (schema and 2 of 2 rows, ")
    calls: list[object] = []
    from orchat.rendering import render_value

    interpolate("{df}\n{df}\n{df}", {"df": frame}, lambda value: calls.append(value) or render_value(value))  # type: ignore[func-returns-value]
    assert len(calls) == 1


def test_pictures_and_sound_become_parts_in_their_place() -> None:
    picture, sound = ImageContent.from_url(PNG), AudioContent("UklGRg==", "wav")
    prompt = interpolate("Compare {a} with {b}.\n{name}", {"a": picture, "b": sound, "name": "Ada"})
    assert prompt.parts == (
        TextContent("Compare "), picture, TextContent(" with "), sound, TextContent(".\nAda")
    )  # fmt: skip
    assert prompt.text is None
    assert [value.name for value in prompt.sent] == ["a", "b", "name"]
    assert str(prompt.sent[1]) == "b (audio)"


def test_literal_sends_everything_as_it_is() -> None:
    assert verbatim_prompt("{name}") == Prompt((TextContent("{name}"),))


_PIECES = (
    *(
        "{",
        "}",
        "{x}",
        "{y.z}",
        "{x[0]}",
        "{{",
        "`",
        "```",
        "\n",
        "\n\n",
        " ",
        "a",
        "$",
        "\\",
        "(",
        ")",
        "[",
        "]",
        '"',
        "'",
    ),
    *("f'", 'f"', '"""', "\\begin{a}", "\\end{a}", "\\(", "\\)", "~~~", "<p>", "=", ";", "    ", ":", "\x00", "def f:"),
)
_TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=30).map("".join))


@given(_TEXTS)
def test_without_a_name_that_resolves_every_text_is_the_same(text: str) -> None:
    prompt = interpolate(text, {})
    assert prompt.parts == (TextContent(text),)
    assert "\n" not in (prompt.warning or "")


@example("\\``")  # a backslash takes one of the two backticks
@given(_TEXTS)
def test_only_fields_change(text: str) -> None:
    """What is put in can be taken out again, and what is left is the text."""
    names = {"x": "\ue000x\ue001", "y": SimpleNamespace(z="\ue000y.z\ue001")}
    if "\ue000" in text or "\ue001" in text:
        return
    prompt = interpolate(text, names)
    assert prompt.text is not None
    back = prompt.text.replace("\ue000", "{").replace("\ue001", "}")
    assert back == text or "x[0]" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "{" * 100_000,
        "{x}" * 30_000,
        "{x} " * 25_000,
        "{x}," * 25_000,
        "{x" * 50_000,
        "{x[" * 30_000,
        "{x" + "[0]" * 30_000,
        "{x" + ".y" * 50_000,
        "`a" * 50_000,
        " ".join("`" * n for n in range(1, 440)),
        "```\n" * 25_000,
        "```\n~~~~\n" * 12_000,
        "(" * 50_000 + "}" * 50_000,
        "<p>" * 30_000 + "{x}",
        "<p>" * 15_000 + "</p>" * 15_000 + "{x}",
        "<" + "A" * 100_000,
        "({[" * 33_000,
        "f'" * 50_000,
        "f'''" * 25_000 + 'f"',
        '="""' * 25_000 + "='''",
        "$a^" * 33_000,
        "$" + "^" * 100_000,
        "$$" * 50_000,
        "\\begin{a}" * 11_000,
        "\\(" * 50_000,
        "a" * 100_000 + "{x}",
        ("a" * 50 + "{x}") * 2_000,
        "; " * 50_000 + "{x}",
        "x" * 50_000 + ":" + "x" * 50_000 + " {x}",
        "<" * 100_000 + " {x}",
        "for\n  {x}\n" * 9_000,
        "for :\n" * 15_000 + " {x}",
        " \n" * 50_000 + "{x}",
        "> " * 50_000 + "```",
        " " * 100_000 + "{x}",
        "{nmae} " * 15_000,
        " ".join(f"{{a{n}}}" for n in range(12_000)),
        " ".join(f"{{x.a{n}}}" for n in range(9_000)),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_the_time_grows_with_the_length_only(hostile: str) -> None:
    def cpu() -> float:
        started = time.process_time()
        interpolate(hostile, {"x": "value", "name": "Ada", **dict.fromkeys(map("n{}".format, range(400)))})
        return time.process_time() - started

    # Quadratic work would take minutes.
    assert any(cpu() < 0.25 + 8e-6 * len(hostile) for _ in range(2))
