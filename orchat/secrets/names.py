"""Recognize the names of secrets: keys of dictionaries, columns, variables, headers, fields of a form.

A name is read by its words, whichever way they are joined: ``db_password``, ``apiKey``, ``HF_TOKEN``. What it names is
its last word, so that ``password_length`` and ``token_count`` are no secrets.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from orchat.secrets.randomness import is_digest, is_random

Strength = Literal["sure", "maybe", "no"]

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# Said behind what is named, these change nothing.
_ASIDES = frozenset(
    {"value", "values", "val", "raw", "plain", "plaintext", "text", "str", "string", "b64", "base", "hex", "enc"}
    | {"encrypted", "hash", "hashed", "old", "new", "current", "confirm", "confirmation", "again", "repeat", "prod"}
    | {"production", "staging", "test", "dev", "live", "default", "backup", "primary", "secondary", "main"}
)
_SURE = frozenset(
    {"password", "passwords", "passwd", "passwort", "kennwort", "passphrase", "passphrases", "passcode", "userpass"}
    | {"secret", "secrets", "credential", "credentials", "creds", "apikey", "apikeys", "authorization", "pw", "pwd"}
    | {"pgpassword", "secretkey", "accesskey", "privatekey", "authkey", "authtoken", "accesstoken", "passkey"}
    | {"refreshtoken", "clientsecret", "appsecret", "apitoken", "bearertoken", "sessiontoken", "mdp", "contrasena"}
    | {"jwt", "htpasswd", "pgpass", "connstr", "keytab", "privkey", "dbpass", "apisecret"}
)
_MAYBE = frozenset(
    {"token", "tokens", "key", "keys", "auth", "pass", "session", "sessionid", "sid", "cookie", "cookies", "bearer"}
    | {"signature", "sig", "seed", "salt", "pin", "otp", "totp", "pat", "dsn", "hmac", "csrf", "xsrf", "jws", "code"}
)
# Two words that together are sure, whatever else stands before them.
_PAIRS = {
    "key": frozenset(
        {
            "api",
            "access",
            "private",
            "auth",
            "refresh",
            "bearer",
            "session",
            "signing",
            "secret",
            "encryption",
            "master",
        }
        | {"account", "storage", "shared", "service", "client", "deploy", "webhook", "admin", "subscription", "license"}
        | {"licence", "ssh", "rsa", "pgp", "gpg", "ssl", "tls", "consumer", "fernet", "jwt", "hmac", "crypt", "write"}
        | {
            "app",
            "application",
            "master",
            "integration",
            "ingest",
            "server",
            "aes",
            "decryption",
            "ec",
            "host",
            "wallet",
        }
    ),
    "token": frozenset(
        {"api", "access", "private", "auth", "refresh", "bearer", "session", "id", "personal", "deploy", "bot", "app"}
        | {"admin", "user", "oauth", "jwt", "sas", "security", "service", "account", "registry", "publish", "upload"}
        | {"github", "gitlab", "gh", "hf", "slack", "npm", "pypi", "vault", "discord", "telegram", "secret", "login"}
        | {"csrf", "xsrf", "reset", "verification", "device", "push", "webhook", "identity", "runner", "client", "root"}
    ),
    "id": frozenset({"session", "sess"}),
    "auth": frozenset({"basic", "proxy", "http", "npm", "docker", "registry"}),
    "pass": frozenset(
        {"db", "user", "smtp", "ftp", "mysql", "root", "admin", "keyring", "mail", "imap", "login", "ssh"}
    ),
    "pat": frozenset({"github", "gitlab", "gh", "git", "azure", "ado", "devops", "databricks", "airtable", "docker"}),
    "phrase": frozenset({"pass", "seed", "recovery", "mnemonic"}),
    "word": frozenset({"pass"}),
    "words": frozenset({"seed", "recovery"}),
    "url": frozenset({"webhook"}),
    "pin": frozenset({"card", "login", "user"}),
    "code": frozenset({"pass", "otp", "mfa", "backup", "recovery"}),
    "cookie": frozenset({"session", "auth", "login"}),
    "seed": frozenset({"totp", "otp", "mfa"}),
}
_OPEN_KEYS = frozenset(
    {"public", "primary", "foreign", "sort", "partition", "cache", "group", "hash", "index", "unique", "natural", "pub"}
    | {
        "row",
        "surrogate",
        "composite",
        "candidate",
        "dict",
        "map",
        "i18n",
        "translation",
        "message",
        "lookup",
        "object",
    }
    | {
        "object",
        "idempotency",
        "publishable",
        "arrow",
        "hot",
        "shortcut",
        "press",
        "last",
        "first",
        "event",
        "range",
        "join",
    }
    | {
        "next",
        "max",
        "min",
        "eos",
        "bos",
        "pad",
        "unk",
        "sep",
        "cls",
        "mask",
        "stop",
        "special",
        "start",
        "end",
        "page",
    }
    | {
        "page",
        "continuation",
        "cancel",
        "cancellation",
        "pagination",
        "cursor",
        "prompt",
        "completion",
        "input",
        "output",
    }
    | {"total", "num", "per", "image", "audio", "video", "reasoning", "cached", "prev", "previous", "sync", "thinking"}
)
_QUESTIONS = frozenset({"has", "is", "no", "needs", "require", "requires", "with", "without", "show", "hide", "allow"})
_ENVIRONMENT = re.compile(r"[A-Z][A-Z0-9_]*_(?:KEY|TOKEN|PWD|PASS|AUTH|DSN|SK|SALT|COOKIE|JWT|SID)\d*")
_HEADER = re.compile(r"auth|cookie|key|secret|token|signature|session|credential|password", re.IGNORECASE)


def is_secret_name(name: str) -> bool:
    """Whether a name is that of a secret: a key of a dictionary, a field or a column.

    Common words of data, such as "key", "token" or "author", are not among them.

    Examples
    --------
    >>> [is_secret_name(name) for name in ("db_password", "apiKey", "HF_TOKEN", "token", "keyboard", "password_length")]
    [True, True, True, False, False, False]
    """
    return strength(name) == "sure"


def is_secret_header(name: str) -> bool:
    """Whether a header of that name is likely to carry a key.

    Examples
    --------
    >>> is_secret_header("Authorization"), is_secret_header("x-api-key"), is_secret_header("X-Title")
    (True, True, False)
    """
    return _HEADER.search(name) is not None


def is_secret(name: str, value: object) -> bool:
    """Whether a value is nobody's business because of its name, or of both.

    Under a common word, such as "token", it must look drawn by lot.

    Examples
    --------
    >>> is_secret("api_key", "hunter2"), is_secret("token", "tide"), is_secret("token", "q7Zx0pT2mB9vK4sL1nR8")
    (True, False, True)
    """
    match strength(name):
        case "sure":
            return not (value is None or isinstance(value, bool) or callable(value))
        case "maybe":
            return isinstance(value, str) and is_random(value) and not is_digest(value)
    return False


@lru_cache(maxsize=4096)
def strength(name: str) -> Strength:
    """Return how certainly a name is that of a secret; ``maybe`` where the value must look like one, too.

    Examples
    --------
    >>> [strength(name) for name in ("client_secret", "token", "next_token")]
    ['sure', 'maybe', 'no']
    """
    if len(name) > 200:
        name = name[-200:]
    words = [word.lower() for word in _WORD.findall(name)]
    if words[-2:] in (["connection", "string"], ["conn", "str"]):
        return "sure"
    while len(words) > 1 and (words[-1] in _ASIDES or words[-1].isdigit()):
        words.pop()
    if not words or (len(words) > 1 and words[0] in _QUESTIONS) or name == "PWD":
        return "no"
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in _SURE or before in _PAIRS.get(last.removesuffix("s"), ()) or before in _PAIRS.get(last, ()):
        return "sure"
    if before in _OPEN_KEYS:
        return "no"
    if _ENVIRONMENT.fullmatch(name):
        return "sure"
    return "maybe" if last in _MAYBE else "no"
