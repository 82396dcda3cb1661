"""Errors: one tree, a hint on each, they travel, and they hold no key."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from orchat import errors
from orchat.errors import APIError, OrchatError, ToolInvocationError
from orchat.messages import ChatMessage
from orchat.secrets import redact, redact_json

TREE = {
    "ConfigurationError": ("OrchatError", "ValueError"),
    "MissingKeyError": ("ConfigurationError",),
    "UnknownColumnError": ("ConfigurationError",),
    "SerializationError": ("OrchatError", "ValueError"),
    "APIError": ("OrchatError",),
    "BadRequestError": ("APIError",),
    "AuthenticationError": ("APIError",),
    "InsufficientCreditsError": ("APIError",),
    "PermissionDeniedError": ("APIError",),
    "ModerationError": ("PermissionDeniedError",),
    "LimitExceededError": ("PermissionDeniedError",),
    "NotFoundError": ("APIError",),
    "RateLimitError": ("APIError",),
    "ProviderError": ("APIError",),
    "APIConnectionError": ("APIError",),
    "APITimeoutError": ("APIConnectionError",),
    "StreamError": ("APIError",),
    "ResponseLimitError": ("APIError",),
    "OutputValidationError": ("APIError", "ValueError"),
    "ToolError": ("OrchatError",),
    "ToolInvocationError": ("ToolError",),
    "ToolServerError": ("ToolError",),
    "SchemaGenerationError": ("ToolError",),
    "StateError": ("OrchatError",),
    "TurnInProgressError": ("OrchatError",),
    "BudgetExceededError": ("OrchatError",),
    "OrchatError": ("Exception",),
}
CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, Exception)]
API_CLASSES = [kind for kind in CLASSES if issubclass(kind, APIError)]


def full(kind: type[APIError]) -> APIError:
    """An error with everything on it."""
    return kind(
        "It broke.",
        status_code=502,
        code="x",
        error_type="provider_unavailable",
        metadata={"raw": "words"},
        provider_name="P",
        generation_id="gen-1",
        retry_after=1.5,
        partial=ChatMessage.from_assistant("The Hum", {"id": "gen-1"}),
        hint="Try again.",
        body={"message": "It broke."},
        retryable=True,
    )


def test_the_tree_is_as_it_is_drawn() -> None:
    assert {kind.__name__: tuple(base.__name__ for base in kind.__bases__) for kind in CLASSES} == TREE
    assert errors.__doc__ is not None
    assert all(name in errors.__doc__ for name in TREE)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_says_what_happened_and_what_to_do_next(kind: type[OrchatError]) -> None:
    error = kind("It broke.", hint="Mend it.")
    assert (str(error), error.message, error.hint) == ("It broke. Mend it.", "It broke.", "Mend it.")
    assert (str(kind("It broke.")), str(kind())) == ("It broke.", "")


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("travel", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_each_pickles_and_copies_with_all_that_it_carries(kind: type[OrchatError], travel: Any) -> None:
    error = full(kind) if issubclass(kind, APIError) else kind("It broke.", hint="Mend it.")
    twin = travel(error)
    assert type(twin) is kind
    assert (str(twin), vars(twin)) == (str(error), vars(error))


def test_a_deep_copy_shares_nothing() -> None:
    error = full(APIError)
    twin = copy.deepcopy(error)
    twin.metadata["raw"] = "other"
    assert twin.partial is not None
    twin.partial.meta["id"] = "other"
    assert (error.metadata, error.partial and error.partial.meta) == ({"raw": "words"}, {"id": "gen-1"})


def test_the_metadata_is_a_copy() -> None:
    given: dict[str, Any] = {}
    APIError("x", metadata=given).metadata["a"] = 1
    assert given == {}


def test_a_tools_error_names_the_tool_wherever_it_goes() -> None:
    error = ToolInvocationError("It broke.", "tide")
    assert pickle.loads(pickle.dumps(error)).tool_name == "tide"


KEYS = [
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-" + "proj-aB3_dE5-" * 12,
    "sk-" + "ant-api03-" + "aB3dE5fG" * 11,
    "hf" + "_" + "aBcDeFgHiJ" * 3 + "klMn",
    "gs" + "k_" + "aB3dE5fG7hI9j" * 4,
    "xa" + "i-" + "aB3dE5fG7hI9j" * 6,
    "gh" + "p_" + "aB3dE5fG7hI9" * 3,
    "github" + "_pat_" + "aB3dE5fG7hI" * 2 + "_" + "aB3dE5fG7hI" * 5,
    "AIzaSyA0123456789abcdefghijk",
    "user_" + "2aB3dE5fG" * 3,
]


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_is_hidden_wherever_it_stands(key: str) -> None:
    for text in (key, f"a {key}.", f'{{"k":"{key}"}}', f"({key})", f"a={key}&b", f"{key}\n"):
        assert key not in redact(text)
        assert "[redacted]" in redact(text)


@pytest.mark.parametrize("text", ["Bearer abcdef9hij-kl", "bearer abc3efghij", "Authorization: BEARER abc/def+ghi=="])
def test_what_stands_after_bearer_is_hidden(text: str) -> None:
    assert redact(text).endswith("earer [redacted]") or redact(text).endswith("BEARER [redacted]")


@pytest.mark.parametrize("text", ["the risk-averse desk-bound user", "ask sk-", "a task_force", "the user_id field"])
def test_plain_words_stay(text: str) -> None:
    assert redact(text) == text


def test_own_secrets_are_hidden_whatever_they_look_like() -> None:
    assert redact("a hunter2 b hunter2", "", "hunter2") == "a [redacted] b [redacted]"


def test_json_is_redacted_in_keys_and_values_at_every_depth_and_stays_json() -> None:
    value = {
        "user_id": "x",
        "Authorization": "y",
        "a": [{"api_key": "z", "b": ("sk-or-v1-0123456789abcdef", 1, None, True)}],
        "pw": 2,
    }
    assert redact_json(value, "pw") == {"a": [{"b": ["[redacted]", 1, None, True]}], "[redacted]": 2}


def test_a_notebook_shows_the_users_own_line_and_what_happened() -> None:
    code = "from orchat import Chat\nchat = Chat()\nchat('Hi')"
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        f"InteractiveShell.instance(colors='nocolor').run_cell({code!r})"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENROUTER_API_KEY"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    shown = done.stdout + done.stderr
    assert "line 3: chat('Hi')" in shown
    assert "MissingKeyError: There is no API key. Set OPENROUTER_API_KEY" in shown
    assert len(shown) < 1000
    assert "orchat/" not in shown.replace("orchat/smollm", "")
