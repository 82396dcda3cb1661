"""What is hidden from a model: key-like text, and whatever stands under a name like ``password``.

It applies to every value but a plain ``str``: that one is the user's own words, and goes out as it is.
"""

from __future__ import annotations

import re

from orchat.errors import redact

HIDDEN = "[redacted]"

_SECRETS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s]|\\[nr])*(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----)?"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bxox[a-z]-[A-Za-z0-9-]{8,}|\bglpat-[A-Za-z0-9_-]{8,}|\bgh[ousr]_[A-Za-z0-9]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|(?<=://)[^\s/:@\"']*:[^\s/@\"']+(?=@)"  # the user and password of an address
)
_NAME = re.compile(
    r"passw(?:or)?d|passphrase|secret|credential|authorization"
    r"|(?:^|[^a-z])(?:x[-_ ]?)?(?:api|access|private|auth|refresh|bearer|session|signing)[-_ ]?(?:key|token)s?$",
    re.IGNORECASE,
)
_CAMEL_NAME = re.compile(r"(?:api|access|private|auth|refresh|bearer|session)(?:Key|Token)s?$", re.IGNORECASE)
_ENVIRONMENT_NAME = re.compile(r"[A-Z0-9_]+_(?:KEY|TOKEN|PAT|PWD|PASS|AUTH|DSN)")


def hide_secrets(text: str) -> str:
    """Put ``[redacted]`` where something looks like a key, a token, or an address's password.

    Examples
    --------
    >>> hide_secrets("postgresql://ada:hunter2@db/tides with sk-or-v1-0123456789abcdef")
    'postgresql://[redacted]@db/tides with [redacted]'
    """
    return _SECRETS.sub(HIDDEN, redact(text))


def hides_its_value(name: str) -> bool:
    """Whether what stands under this name is nobody's business, be it a key of a dictionary, a field or a column.

    Common words of data, such as "key", "token" or "author", are not among them.

    Examples
    --------
    >>> [hides_its_value(name) for name in ("db_password", "apiKey", "HF_TOKEN", "token", "keyboard")]
    [True, True, True, False, False]
    """
    return any(
        (_NAME.search(name), _CAMEL_NAME.search(name), _ENVIRONMENT_NAME.fullmatch(name)),
    )
