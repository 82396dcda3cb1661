r"""Structured formats that contain secrets: private keys, signed tokens, headers, URLs, connection strings, files.

A format is a pattern and which of its groups are the secret. A group may have to pass a test besides: what stands after
``Bearer`` in prose is a word. Patterns take time in proportion to the text: what is repeated without a bound cannot
begin anew within itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import NamedTuple

from orchat.secrets.names import strength
from orchat.secrets.randomness import is_placeholder, is_random

_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
Test = Callable[[str], bool]


class Format(NamedTuple):
    """A structured format that contains a secret.

    Parameters
    ----------
    what
        What people call it, with its article.
    needle
        What the text must hold in any case, in lower case: looking for that is quick.
    pattern
        Where it stands; every group is a secret.
    test
        Whether what a group holds is one.
    times
        How often the text must hold the needle.
    """

    what: str
    needle: str
    pattern: str
    test: Test
    times: int = 1


def _any(text: str) -> bool:
    return not is_placeholder(text)


def _not_a_word(text: str) -> bool:
    """Whether it is no word of prose or code: credentials have digits, or are long and mixed."""
    if is_placeholder(text) or (_DOTTED.fullmatch(text) and not is_random(text)):
        return False
    return any(each.isdigit() for each in text) or is_mixed(text)


def is_mixed(text: str) -> bool:
    """Whether capitals stand within, or other signs than those that join words.

    Examples
    --------
    >>> is_mixed("abc/def+ghi=="), is_mixed("CamelCase"), is_mixed("snake_case")
    (True, False, False)
    """
    return len(text) >= 8 and (re.search(r"[+/=~!#%^&*]", text) is not None or is_random(text, 8))


def _is_user_and_password(text: str) -> bool:
    """Whether base64 holds ``user:password``, as HTTP's basic authentication does."""
    try:
        held = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return False
    return ":" in held and held.isprintable()


_USUAL = re.compile(
    r"p(?:ass(?:w(?:or)?d)?|w|wd|swd)?\d?|.{0,12}(?:password|secret|token|passwd|key).{0,12}|bar|\d{1,5}(?:,.*)?|", re.I
)


def _is_userinfo(text: str) -> bool:
    """Whether a URL's userinfo is a user and password, or a token, rather than the words ``user:password``."""
    if is_placeholder(text):
        return False
    user, colon, password = text.partition(":")
    if not colon or password in ("x-oauth-basic", "x-token-auth"):
        return is_random(user)
    return password != user and (not _USUAL.fullmatch(password) or is_random(password))


def _is_opaque(text: str) -> bool:
    return not is_placeholder(text) and is_random(text, 12)


def _cookie(text: str) -> bool:
    """Whether a cookie's ``name=value`` identifies a user."""
    name, _, value = text.partition("=")
    value = value.strip('"')
    if is_placeholder(value) or len(value) < 6:
        return False
    return is_random(value) or (strength(name.strip()) != "no" and _not_a_word(value))


def _query(text: str) -> bool:
    return len(text) >= 8 and _not_a_word(text)


def _format(what: str, needle: str, pattern: str, test: Test = _any, times: int = 1) -> Format:
    return Format(what, needle, pattern, test, times)


_BEFORE = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
_AUTHORIZATION = r"(?i:\bauthorization)[\"']?\]?[ \t]{0,4}[:=,][ \t]{0,4}[\"']?"
_CREDENTIALS = r"([A-Za-z0-9._~+/=|-]{6,4096})"

FORMATS = (
    _format(
        "a private key",
        "private key",
        r"(-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:\s|\\[nr]|[A-Za-z-]{3,20}: [^\n\\]{0,200}){0,40}+[A-Za-z0-9+/=]{16,64}(?:[A-Za-z0-9+/=\s]|\\[nr])*+"
        r"(?:-----END (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----)?)",
    ),
    _format(
        "a private key",
        "begin ssh2",
        r"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
        r"((?:\s|\\[nr]|[A-Za-z-]{3,20}: [^\n\\]{0,200}){0,40}+[A-Za-z0-9+/=]{16,64}(?:[A-Za-z0-9+/=\s]|\\[nr])*+)",
    ),
    _format(
        "a private key",
        "private-lines",
        r"Private-Lines: \d{1,4}(?:\n|\r|\\[nr]){1,2}((?:[A-Za-z0-9+/=\s]|\\[nr]){24,})",
    ),
    _format(
        "a private key", "ls0tls1crudjti", r"(LS0tLS1CRUdJTi(?:BSU0Eg|BFQyBQ|BQUklW|BPUEVO|BFTkNS)[A-Za-z0-9+/=]{40,})"
    ),
    # JWE in five parts has an empty second one where the key was agreed about.
    _format(
        "a signed token (JWT)",
        "eyj",
        _BEFORE + r"(eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]{4,}|[A-Za-z0-9_-]{0,1024}\.[A-Za-z0-9_-]{16,}(?=\.))"
        r"\.[A-Za-z0-9_-]*"
        r"(?:\.[A-Za-z0-9_-]+)?(?:\.[A-Za-z0-9_-]+)?)",
    ),
    _format("a password's hash", "$2", r"(\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53})"),
    _format(
        "a password's hash",
        "$",
        r"(\$(?:[156y]|apr1|argon2(?:id?|d)|scrypt|pbkdf2-[a-z0-9]{1,10})\$[^\s\"'`:,;$]{1,80}\$[^\s\"'`:,;]{12,200})",
    ),
    _format(
        "credentials of a header",
        "basic ",
        r"(?:[Bb]asic|BASIC) {1,4}([A-Za-z0-9+/]{6,4096}={0,2})",
        _is_user_and_password,
    ),
    _format(
        "credentials of a registry",
        "auth",
        r"(?i:\b_?auth)\\?[\"']?[ \t]{0,4}[:=][ \t]{0,4}\\?[\"']?([A-Za-z0-9+/]{8,4096}={0,2})",
        _is_user_and_password,
    ),
    _format(
        "credentials of a header",
        "bearer",
        r"(?i:\bbearer)(?:[ \t]{1,4}|\\n|: ?)" + _CREDENTIALS,
        _not_a_word,
    ),
    _format(
        "credentials of a header",
        "authorization",
        _AUTHORIZATION + r"[A-Za-z-]{1,20}[ \t]{1,4}" + _CREDENTIALS,
        _not_a_word,
    ),
    _format(
        "credentials of a header",
        "authorization",
        _AUTHORIZATION + r"([A-Za-z0-9._~+/=-]{16,4096})(?![ \tA-Za-z0-9._~+/=-])",
        _is_opaque,
    ),
    _format("a signature", "signature=", r"(?i:signature)=\"?([A-Za-z0-9+/%=]{16,1024})", _not_a_word),
    _format(
        "credentials of a header",
        "digest",
        r"(?i:\bdigest )[^\n]{0,500}?\bresponse=\"?([0-9a-f]{32,64})",
    ),
    _format("the password of an address", "://", r"://([^/@\s\"'`<>\\?#]{1,400})@", _is_userinfo),
    _format(
        "a token in an address",
        "=",
        r"(?<=[?&;])(?i:(?:[a-z_-]{1,24}[_-])?(?:token|apikey|api[_-]?key|key|sig|signature|secret|auth|password|passwd|pwd"
        r"|code|jwt|hmac|sid|session(?:id|_id)?|credential|ticket|hash))=([^&?\s\"'`<>;)\\\]]{8,4096})",
        _query,
    ),
    _format(
        "a webhook's address",
        "hooks.slack",
        r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{20,120})",
    ),
    _format(
        "a webhook's address",
        "webhooks/",
        r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/(\d{5,25}/[A-Za-z0-9_-]{20,100})",
    ),
    _format("a webhook's address", "webhook.office", r"webhook\.office\.com/webhookb2/([A-Za-z0-9@/-]{40,300})"),
    _format("a webhook's address", "hooks.zapier", r"hooks\.zapier\.com/hooks/catch/(\d{2,12}/[A-Za-z0-9]{5,40})"),
    _format(
        "a password in .netrc",
        "login",
        r"(?:\bmachine\s{1,20}\S{1,200}|\bdefault)\s{1,40}login\s{1,20}\S{1,200}\s{1,40}"
        r"(?:account\s{1,20}\S{1,200}\s{1,40})?password\s{1,20}([^\s\"'\\]{3,200})",
    ),
    _format(
        "a password in .pgpass",
        ":",
        r"(?m:^)[\w.-]{1,200}:(?:\d{2,5}|\*):[\w*-]{1,64}:[\w*.-]{1,64}:([^\s:\"'\\]{4,200})(?=\s|$)",
        _not_a_word,
        times=4,
    ),
    _format(
        "a password on a command line",
        "-u",
        r"(?<!\S)(?:-u|--user|--proxy-user)[ =][\"']?([\w.@-]{1,100}:[^\s\"'\\]{3,200})",
        _is_userinfo,
    ),
    _format(
        "a password on a command line",
        "--",
        r"--(?:[a-z]{1,20}-){0,2}(?:password|passwd|pass|token|secret|api-?key|auth-?token|key"
        r"|private-key)[ =][\"']?([^\s\"'\\]{6,400})",
        _not_a_word,
    ),
    _format("a secret for one-time codes", "otpauth:", r"otpauth://[^\s\"'<>]{1,300}?[?&]secret=([A-Za-z2-7]{8,128})"),
    _format("a private key", "privatekey", r"(?i:\bPrivateKey|PresharedKey)[ \t]{0,4}=[ \t]{0,4}([A-Za-z0-9+/]{43}=)"),
    _format(
        "a password in XML",
        "password>",
        r"(?i:<(?:[a-z]{1,20}:)?(?:[a-z]{0,20})(?:password|passphrase|secret|apikey|token)>)([^<>\s]{4,400})</",
        _not_a_word,
    ),
    _format(
        "a password in XML",
        "password",
        r"(?i:key=[\"'][a-z]{0,30}(?:password|secret|apikey|token)[\"']\s{1,10}value=[\"'])([^\"'<>]{4,400})[\"']",
    ),
    _format(
        "a password of a connection", "identified by", r"(?i:identified by )[\"']([^\"'\s]{3,200})[\"']", _not_a_word
    ),
)

_COMMON_PARTS = ("=", ":", "-", "$", "auth", "hook", "password", "private")


def _by_common_part() -> dict[str, list[Format]]:
    groups: dict[str, list[Format]] = {}
    for form in FORMATS:
        groups.setdefault(next((part for part in _COMMON_PARTS if part in form.needle), form.needle), []).append(form)
    return groups


FORMATS_BY_PART = tuple(_by_common_part().items())
"""The formats by a part that their needles have in common: where it is missing, none of them is looked for."""

COOKIES = re.compile(
    r"(?i:\bcookie2?)[\"']?[ \t]{0,4}[:=,][ \t]{0,4}[\"']?"
    r"((?:[\w.%-]{1,100}=[^\s;\"'\\]{0,4096}(?:; ?)?){1,100})"
)
PAIR = re.compile(r"[\w.%-]{1,100}=[^\s;\"'\\]{4,4096}")


def is_cookie(pair: str) -> bool:
    """Whether ``name=value`` of a cookie header is worth hiding.

    Examples
    --------
    >>> is_cookie("sessionid=38afes7a8"), is_cookie("theme=light")
    (True, False)
    """
    return _cookie(pair)
