"""Detection and redaction of secrets, for everything that is sent, saved, displayed and logged."""

from orchat.secrets.detection import Found, find_secrets
from orchat.secrets.names import is_secret_header, is_secret_name
from orchat.secrets.redaction import HIDDEN, redact, redact_json, redacted_keys

__all__ = [
    "HIDDEN",
    "Found",
    "find_secrets",
    "is_secret_header",
    "is_secret_name",
    "redact",
    "redact_json",
    "redacted_keys",
]
