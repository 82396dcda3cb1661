"""Detection and redaction of secrets, for everything that is sent, saved, displayed and logged.

The patterns of `orchat.secrets.detection` are compiled on first use: loading the extension needs none.
"""

from orchat.secrets.names import is_secret, is_secret_header, is_secret_name
from orchat.secrets.redaction import HIDDEN, redact, redact_json, redact_lines, redacted_keys

__all__ = [
    "HIDDEN",
    "is_secret",
    "is_secret_header",
    "is_secret_name",
    "redact",
    "redact_json",
    "redact_lines",
    "redacted_keys",
]
