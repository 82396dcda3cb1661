"""Detect values assigned to the name of a secret: ``password: hunter2``, ``"api_key": "..."``, ``export TOKEN=...``.

What a value must look like depends on how surely its name is that of a secret, and on where it stands: behind the name
of an environment variable nearly anything is one, in code only what is written out, and is no word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchat.secrets.formats import is_mixed
from orchat.secrets.names import strength
from orchat.secrets.randomness import is_digest, is_placeholder, is_random

Span = tuple[int, int, str]

# The last word of a name, and what stands between it and its value.
_SIGN = re.compile(
    r"(?:p(?:ass(?:w(?:or)?[dt]|phrase|code|key)?|wd|w|at)|s(?:ecrets?|id|ession(?:_?id)?|ig(?:nature)?|eed|alt|k)|k(?:eys?|ennwort)"
    r"|tokens?|c(?:red(?:ential)?s?|ookie|onn(?:ection_?string|str)|srf|ontrasena)|auth(?:orization)?|jwt|dsn|h(?:ash|mac)|webhook_url)"
    r"(?:_(?:b64|base64|value|hex|prod|dev|test|live|old|new))?\d{0,2}"
    r"(\\?[\"'`]\]?)?[ \t]{0,16}(:=|=>|={1,3}|:|,(?= ?\\?[\"']))[ \t]{0,16}(?!=)"
)
_NAME_BACKWARDS = re.compile(r"[A-Za-z0-9_.-]*")
_QUOTED = re.compile(
    r"(?:str\()?[rbfuRBFU]{0,2}(\\\"|\\'|\"{3}|'{3}|[\"'`])(?=(?P<text>(?:(?!\1)[^\\\n]|\\.){1,2048}))(?P=text)\1", re.S
)
_BARE = re.compile(r"[^\s\"'`,;<>()\[\]{}\\|]{4,512}+(?=[\s\"',;)\]}<\\&|]|\Z)")
_LINE_END = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\\n|\Z|[\"'])")
_EXPORT = re.compile(
    r"(?:(?:\A|[\n\r;&{,\[\"' ]|\\n)[ \t]{0,40}(?:(?:export|set|setx|env|ENV|ARG|declare -x|-e|--env|\$env:)[ =]?)?)\Z"
)
_GENERIC = re.compile(
    r"pass(?:w(?:or)?d)?|secret|token|key|cred|auth|user|value|arg|self|none|null|true|false|test|example|sample|dummy"
    r"|demo|string|str|bytes|required|optional|default|field|name|type|text|input|hidden|session|cookie|header|sign|hash",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_CODE = re.compile(
    r"!?[A-Za-z_]\w*(?:\??\.[A-Za-z_]\w*)+|[\w.-]*\.(?:py|json|js|ts|txt|pem|key|crt|ya?ml|toml|env|com|org|net|io)"
    r"|[/~][\w./-]*|https?:.*|0x[0-9A-Fa-f]+"
)
_EXPRESSION = re.compile(r"[\w)\]][=?&|]+[A-Za-z_(]|^\W*+(?:\d[\d.,:/ -]*+)?$(?<=[\d.,:/ -])|\(\?|\[\w-")
_PUBLIC = ("phc_", "pk_")
# The next part of a connection string, or its end.
_BEHIND_IT = re.compile(r"[ \t]+[a-z_]{2,20}=\S|;[A-Za-z_ ]{2,30}=|;?[ \t]*\\?[\"']?(?:\s|\Z)")


def named_values(text: str, lowered: str) -> Iterator[Span]:
    """Find the positions and names of secrets' values in a text; ``lowered`` is the text in lower case."""
    if "=" not in text and ":" not in text and ("," not in text or ('"' not in text and "'" not in text)):
        return  # without any sign, which is told in no time
    for sign in _SIGN.finditer(lowered):
        name, start = _name_before(text, sign)
        # In an environment it is the working directory.
        how_sure = "sure" if name == "PWD" else strength(name)
        if how_sure == "no":
            continue
        operator, at = sign[2], sign.end()
        if quoted := _QUOTED.match(text, at):
            value = quoted["text"]
            if (operator != "," or _is_pair(text, start, quoted.end())) and _is_written_out(value, how_sure):
                yield quoted.start("text"), quoted.end("text"), f"the value of {name[:60]}"
            continue
        if operator == "," or not (bare := _BARE.match(text, at)):
            continue
        value = bare[0].rstrip(".:!?") if operator == ":" else bare[0]
        if _is_bare(value, name, how_sure, text, start, bare):
            yield at, at + len(value), f"the value of {name[:60]}"


def _name_before(text: str, sign: re.Match[str]) -> tuple[str, int]:
    before = text[max(0, sign.start() - 100) : sign.start()][::-1]
    start = sign.start() - (named.end() if (named := _NAME_BACKWARDS.match(before)) else 0)
    while start < sign.start() and text[start - 1 : start] == "\\" and text[start] in "nrt":  # the n of an escape
        start += 1
    end = sign.start(1) if sign[1] else sign.start(2)
    return text[start:end].strip().strip(".-"), start


def _is_written_out(value: str, how_sure: str) -> bool:
    """Whether a quoted value is a secret rather than a name, a prompt or a placeholder."""
    if len(value) < 4 or is_placeholder(value) or value.startswith(_PUBLIC) or any(each.isspace() for each in value):
        return False
    if how_sure == "maybe":
        return is_random(value) and not is_digest(value)
    if _GENERIC.search(value) and not is_random(value, 8):
        return False
    return not _EXPRESSION.search(value) and not _CODE.fullmatch(value) and not _is_a_word(value)


def _is_bare(value: str, name: str, how_sure: str, text: str, start: int, bare: re.Match[str]) -> bool:
    """Whether a value without quotes is a secret: in code, names and calls stand there."""
    behind = text[bare.end() : bare.end() + 1]
    if _CODE.fullmatch(value) or is_placeholder(value) or (behind and behind in "([{") or _EXPRESSION.search(value):
        return False
    if how_sure == "maybe":
        return is_random(value) and not is_digest(value)
    if len(value) < 6 or (_GENERIC.search(value) and not is_random(value)):
        return False
    if bare.start() == start + len(name) + 1:  # nothing but the sign is between them
        if name.isupper() and _EXPORT.search(text, max(0, start - 60), start) and _LINE_END.match(text, bare.end()):
            return True
        if _is_part(text[max(0, start - 200) : start]) and _BEHIND_IT.match(text, bare.end()):
            return True
    return not _is_a_word(value) and (is_random(value, 8) or not _IDENTIFIER.fullmatch(value))


def _is_a_word(value: str) -> bool:
    if _GENERIC.search(value) and not is_random(value):
        return True
    return not any(each.isdigit() for each in value) and not is_mixed(value)


def _is_part(before: str) -> bool:
    """Whether another ``name=value`` of a connection string ends there."""
    if before.rstrip(" ").endswith(";"):
        return True
    words = before.split()
    return before[-1:] in (" ", "\t") and "=" in words[-1].strip("=") if words else False


def _is_pair(text: str, start: int, end: int) -> bool:
    """Whether name and value are the two items of a tuple or list."""
    return text[max(0, start - 3) : start].rstrip("\"'\\").endswith(("(", "[")) and text[end : end + 1] in (")", "]")
