"""The hint of an error: what to do next, at OpenRouter and at other hosts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from orchat.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    LimitExceededError,
    ModerationError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
)

_TOO_LONG = frozenset({"context_length_exceeded", "context_window_exceeded", "exceed_context_size"})
_TOO_LONG_TERMS = ("context length", "context size", "context window")
_UNKNOWN_MODEL = re.compile(
    r"(?:not a valid|invalid|unknown|no such) (?:model|endpoint|deployment)"
    r"|(?:model|endpoint|deployment)\b[^.;]{0,120}(?:does not exist|not found|is not available)"
    r"|no endpoints found for",
    re.IGNORECASE,
)
# What an upstream's error object never has, whatever host passes it on.
_OPENROUTER_METADATA = frozenset({"error_type", "limit_source", "provider_name", "reasons", "remedy_hint"})


def is_about_unknown_model(error: APIError) -> bool:
    """Whether an endpoint refused a request because it does not know, or does not serve, the model.

    Examples
    --------
    >>> is_about_unknown_model(NotFoundError("The model `gpt-5-mni` does not exist or you do not have access to it."))
    True
    """
    if not isinstance(error, BadRequestError | NotFoundError):
        return False
    availability = error.body.get("availability") if isinstance(error.body, dict) else None
    codes = (error.code, availability.get("code") if isinstance(availability, dict) else None)
    return "model_not_found" in codes or _UNKNOWN_MODEL.search(error.message) is not None


def advice_to_retry(other_url: str | None) -> str:
    """Return what may help against an answer that is cut, empty or senseless; only OpenRouter has other providers.

    Examples
    --------
    >>> advice_to_retry(None), advice_to_retry("http://127.0.0.1:8080/v1/chat/completions")
    ('try again, or choose another provider', 'try again')
    """
    return "try again, or choose another provider" if other_url is None else "try again"


@dataclass(frozen=True)
class Failure:
    """What is known of an error when its hint is chosen.

    Parameters
    ----------
    kind
        The class of the exception.
    message
        Its text.
    words
        The error's code and type, normalized.
    status
        The HTTP status, where there is one.
    metadata
        The error object's metadata.
    delay
        Seconds that the endpoint asks to wait.
    other_url
        The request's URL, where its host is not OpenRouter's.
    """

    kind: type[APIError]
    message: str
    words: frozenset[str] = frozenset()
    status: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    delay: float | None = None
    other_url: str | None = None

    @property
    def is_daily_limit(self) -> bool:
        """Whether it is OpenRouter's limit of free requests a day."""
        return "daily" in str(self.metadata.get("limit_source", "")) or "per-day" in self.message

    @property
    def is_too_long(self) -> bool:
        """Whether the conversation does not fit the model's context."""
        lower = self.message.lower()
        return not _TOO_LONG.isdisjoint(self.words) or any(term in lower for term in _TOO_LONG_TERMS)

    @property
    def hint(self) -> str:
        """The next step for the user.

        Examples
        --------
        >>> Failure(AuthenticationError, "No.", other_url="http://127.0.0.1:4000/v1/chat/completions").hint
        'Check the key for 127.0.0.1:4000: OPENROUTER_API_KEY is sent, unless you give it another one.'
        """
        if isinstance(remedy := self.metadata.get("remedy_hint"), str):
            return remedy
        if self.is_too_long:
            advice = "Shorten the conversation or choose a model with a longer context."
            if self.other_url is not None:  # OpenRouter's list is known, that of a server of one's own mostly not yet
                advice += " Cells shorten it by themselves once `%openrouter models` has read the context's length."
            return advice
        # A gateway that passes OpenRouter's errors on is as good as OpenRouter.
        if self.other_url is None or not _OPENROUTER_METADATA.isdisjoint(self.metadata):
            return self._hint_of_openrouter() or self._hint_of_any_host()
        return self._hint_of_other_host(self.other_url) or self._hint_of_any_host()

    def _hint_of_openrouter(self) -> str | None:
        source = str(self.metadata.get("limit_source", ""))
        lower = self.message.lower()
        if "not a valid model" in lower:
            return "Check the model's name: vendor/model, as on openrouter.ai/models."
        if self.kind is AuthenticationError:
            return "Check the key: set OPENROUTER_API_KEY, or make a new one at openrouter.ai/settings/keys."
        if self.kind is InsufficientCreditsError:
            if "in_flight" in source:
                return "Too many requests at once have reserved your credit: wait a moment and try again."
            if "max_tokens" in lower or "afford" in lower or "weight" in lower or "key_limit" in source:
                return "Lower max_tokens (without it the model's maximum is reserved), or add credits."
            return "Add credits at openrouter.ai/settings/credits; a negative balance stops free models as well."
        if self.kind is NotFoundError:
            return (
                "No endpoint of this model fits the request: "
                "loosen provider, tools or privacy settings, or check its name."
            )
        if self.kind is RateLimitError and self.is_daily_limit:
            return "The free requests of this day are used up: they return at 00:00 UTC, or use a paid model."
        if self.kind is RateLimitError and "shared_pool" in source:
            return "This provider is full: another model or provider helps at once."
        if self.kind is ProviderError:
            return "The provider is in trouble: try again, or choose another model or provider."
        return None

    def _hint_of_other_host(self, url: str) -> str | None:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        # LiteLLM without a database answers 400 to a key that it does not know.
        if self.kind is AuthenticationError or "no_db_connection" in self.words:
            return f"Check the key for {host}: OPENROUTER_API_KEY is sent, unless you give it another one."
        if self.kind is InsufficientCreditsError:
            return f"Add credits at {host}, or lower max_tokens."
        if self.kind in (BadRequestError, NotFoundError) and (
            "model_not_found" in self.words or _UNKNOWN_MODEL.search(self.message)
        ):
            return f"Check the model's name: `orchat models` lists what {host} has."
        if self.kind is NotFoundError:
            base = f"{parts.scheme}://{host}{parts.path.removesuffix('/chat/completions')}"
            advice = "is it right?" if "/v1" in parts.path else f"most hosts want {base}/v1."
            return f"The base URL is {base}: {advice}"
        if self.kind is ProviderError:
            return f"The fault is at {host}: its log may say more; try again, or check the model's name there."
        return None

    def _hint_of_any_host(self) -> str:
        if self.kind is ModerationError:
            return "Rephrase the prompt, or choose a model without this moderation."
        if self.kind is LimitExceededError:
            source = str(self.metadata.get("limit_source", ""))
            whose = next((each for each in ("workspace", "guardrail") if each in source), "key")
            if resets := self.metadata.get("resets_at"):
                return f"The limit resets at {resets}. Until then, raise the limit of the {whose}."
            return f"Raise the limit of the {whose}, or use another key."
        if self.kind is PermissionDeniedError:
            return "This key, region or policy does not allow the request; see the message."
        if self.kind is RateLimitError:
            return "Wait" + (f" {self.delay:.0f} s" if self.delay else " a moment") + " and try again."
        if self.status == 413:
            return "Send less: a shorter text, or fewer and smaller files."
        if self.kind is BadRequestError:
            return "Change the request as the message says."
        return f"Status {self.status} is not one this API documents; is the base URL right?"
