"""Decisions: typed questions that OpenRouter's decision models answer with probabilities, for the input's price."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchat.errors import ConfigurationError, OutputValidationError, ProviderError
from orchat.mapping.answer_schema import AnswerColumn, AnswerSchema
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_exchange import JsonExchange
from orchat.openrouter.wire.structured import OutputFormat
from orchat.prompt_language.prompt_template import MISSING_TYPES, MissingValueError
from orchat.secrets import redact_json

_PATH = "/api/alpha/decisions"
_QUESTION = "answer"
_EVEN = 0.5


@dataclass(frozen=True)
class DecisionQuestion:
    """A typed question.

    Parameters
    ----------
    text
        What is asked.
    options
        The labels to choose from, with a description of each or None; empty for yes or no.
    scale
        What each step of a score means, from the lowest to the highest; empty for no score.

    Examples
    --------
    >>> DecisionQuestion("Is it about the sea?").wire
    {'type': 'noul', 'instructions': 'Is it about the sea?'}
    """

    text: str
    options: Mapping[str, str | None]
    scale: Sequence[str] = ()

    def __init__(
        self, text: str, options: Sequence[str] | Mapping[str, str | None] | None = None, scale: Sequence[str] = ()
    ) -> None:
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError("The question is empty.")
        if options is not None and scale:
            raise ConfigurationError("Both options and a scale are given.", hint="Give one of them.")
        if isinstance(options, str) or isinstance(scale, str):
            raise ConfigurationError("Options and scales are lists of texts, not a text.")
        for label in [*(options or ()), *scale]:
            if not isinstance(label, str) or not label.strip():
                raise ConfigurationError(f"The option {label!r:.100} is no text.", hint="Options and steps are texts.")
        named = dict(options) if isinstance(options, Mapping) else dict.fromkeys(options or ())
        if (options is not None and len(named) < 2) or len(scale) == 1:
            raise ConfigurationError("There is nothing to decide: give two options or more.")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "options", named)
        object.__setattr__(self, "scale", tuple(scale))

    @property
    def wire(self) -> dict[str, Any]:
        """The question as the API takes it."""
        if self.scale:
            return {"type": "score", "instructions": self.text, "criteria": list(self.scale)}
        if self.options:
            return {"type": "choice", "instructions": self.text, "criteria": dict(self.options)}
        return {"type": "noul", "instructions": self.text}

    @property
    def schema(self) -> AnswerSchema:
        """The columns of its answers: ``answer``, the ``probability`` of it, and those of all others."""
        kind: Any = "number" if self.scale else "label" if self.options else "boolean"
        columns = (
            AnswerColumn("answer", kind, tuple(self.options)),
            AnswerColumn("probability", "number"),
            AnswerColumn("probabilities", "any"),
        )
        output = OutputFormat({}, json.loads)
        return AnswerSchema(None, columns, False, True, lambda parsed: parsed, output)

    def read(self, answer: Any) -> dict[str, Any]:
        """Read an answer of the API as the values of the columns.

        Raises
        ------
        ValueError
            It is no answer to this question.

        Examples
        --------
        >>> DecisionQuestion("Is it about the sea?").read({"type": "noul", "noul": 0.25})
        {'answer': False, 'probability': 0.75, 'probabilities': {'yes': 0.25, 'no': 0.75}}
        """
        if not isinstance(answer, Mapping):
            raise ValueError("there is no answer to the question")
        given = answer.get("probabilities")
        shares = {str(k): float(v) for k, v in given.items()} if isinstance(given, Mapping) else {}
        if self.scale:
            score = float(answer["score"])
            return {"answer": score, "probability": answer.get("confidence"), "probabilities": shares}
        if self.options:
            choice = answer["choice"]
            if choice not in self.options:
                raise ValueError(f"{choice!r} is none of the options")
            return {
                "answer": choice,
                "probability": shares.get(choice, answer.get("confidence")),
                "probabilities": shares,
            }
        yes = float(answer["noul"])
        is_yes = yes >= _EVEN
        shares = {"yes": yes, "no": 1 - yes}
        return {"answer": is_yes, "probability": max(yes, 1 - yes), "probabilities": shares}


class DecisionExchange:
    """Sends the state of a row to a decision model.

    Parameters
    ----------
    generator
        Whose endpoint, key and provider preferences are used.
    model
        The decision model.
    question
        What is asked of each row.
    provider
        Provider preferences.
    """

    def __init__(
        self, generator: OpenRouterChatGenerator, model: str, question: DecisionQuestion, provider: Any = None
    ) -> None:
        self._json = JsonExchange(generator)
        self._question = question
        self._body = {"model": model, "questions": {_QUESTION: question.wire}}
        if provider is not None:
            self._body["provider"] = provider
        self.options: Mapping[str, Any] = {"max_tokens": 0}  # the input alone is paid

    @property
    def base_url(self) -> str:
        """Where the requests go."""
        return self._json.url(_PATH)

    def body(self, messages: list[ChatMessage]) -> Mapping[str, Any]:
        """Return what is the same for all rows."""
        return self._body

    async def send(self, messages: list[ChatMessage]) -> ChatMessage:
        """Send a row's state, and return the answer as a message whose text is JSON."""
        payload = await self._json.send("POST", _PATH, {**self._body, "state": json.loads(messages[-1].text or "null")})
        answers, usage = payload.get("answers"), payload.get("usage")
        if not isinstance(answers, Mapping):
            raise ProviderError("The reply holds no answers.", hint="Is it a decision model?")
        meta = {name: payload.get(name) for name in ("model", "id", "provider")}
        if isinstance(usage, Mapping):
            meta["usage"] = dict(usage)
        try:
            text = json.dumps(self._question.read(answers.get(_QUESTION)))
        except (KeyError, TypeError, ValueError) as error:
            partial = ChatMessage.from_assistant(json.dumps(answers), meta)
            raise OutputValidationError(f"The decision cannot be read: {error}.", partial=partial) from None
        return ChatMessage.from_assistant(text, {**meta, "finish_reason": "stop"})

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._json.close()


class StatePrompt:
    """Makes the state of rows: what a decision is about.

    Parameters
    ----------
    allow_secrets
        Whether what looks like a secret in a value is sent all the same.
    """

    columns: list[str] | None = None
    is_constant = False
    is_function = False

    def __init__(self, *, allow_secrets: bool = False) -> None:
        self._allow_secrets = allow_secrets

    def messages(self, row: Any) -> list[ChatMessage]:
        """Return a row's state as a message whose text is JSON."""
        text = json.dumps(dict(row) if isinstance(row, Mapping) else row, default=_plain)
        state = json.loads(text, parse_constant=lambda _: None)  # NaN, which tables take for a missing value
        if state is None:
            raise MissingValueError("there is no value in this row")
        if not isinstance(state, str | dict | list):
            state = str(state)
        return [ChatMessage.from_user(json.dumps(state if self._allow_secrets else redact_json(state)))]


def _plain(value: Any) -> str | None:
    """Return the text of a value that JSON does not have; None for those that tables take for a missing one."""
    return None if type(value).__name__ in MISSING_TYPES else str(value)
