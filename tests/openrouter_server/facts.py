"""What the scripted OpenRouter says of models and of a key while no test tells it otherwise.

The models are a handful of each kind that catalogues have: ordinary ones, free variants, routers whose price varies,
prices that depend on the prompt's length and on the hour, an alias, kinds that write no text, and one that says nothing
but its name.
"""

from __future__ import annotations

from typing import Any, Final

from tests.openrouter_server.answers import Answer, reply_json
from tests.openrouter_server.request import Request

PARAMETERS: Final = ("max_tokens", "temperature", "top_p", "stop", "seed", "tools", "tool_choice", "response_format")


def model(model_id: str, name: str, pricing: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """An entry of the list of models, with every field that real ones have; ``fields`` replace some."""
    context = fields.pop("context_length", 128_000)
    inputs, outputs = fields.pop("inputs", ["text"]), fields.pop("outputs", ["text"])
    entry: dict[str, Any] = {
        "id": model_id,
        "canonical_slug": f"{model_id.partition(':')[0].lstrip('~')}-20260301",
        "hugging_face_id": "",
        "name": name,
        "created": 1_772_000_000,
        "description": f"{name} is a model for tests.",
        "context_length": context,
        "architecture": {
            "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
            "input_modalities": inputs,
            "output_modalities": outputs,
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": pricing,
        "top_provider": {
            "context_length": context,
            "max_completion_tokens": fields.pop("max_completion_tokens", 16_384),
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": list(PARAMETERS),
        "default_parameters": {},
        "supported_voices": None,
        "knowledge_cutoff": None,
        "expiration_date": None,
        "links": {"details": f"/api/v1/models/{model_id}/endpoints"},
    }
    return entry | fields


REASONING: Final = {"mandatory": False, "supported_efforts": None, "supports_max_tokens": True}

MODELS: Final[list[dict[str, Any]]] = [
    model(
        "anthropic/claude-sonnet-4.5",
        "Anthropic: Claude Sonnet 4.5",
        {
            "prompt": "0.000003",
            "completion": "0.000015",
            "input_cache_read": "0.0000003",
            "input_cache_write": "0.00000375",
            "web_search": "0.01",
            "overrides": [{"min_prompt_tokens": 200_000, "prompt": "0.000006", "completion": "0.0000225"}],
        },
        context_length=1_000_000,
        max_completion_tokens=64_000,
        inputs=["text", "image", "file"],
        supported_parameters=[*PARAMETERS, "reasoning", "include_reasoning"],
        reasoning=REASONING,
    ),
    model(
        "~anthropic/claude-sonnet-latest",
        "Anthropic: Claude Sonnet Latest",
        {"prompt": "0.000003", "completion": "0.000015"},
        context_length=1_000_000,
        alias_target={"name": "Anthropic: Claude Sonnet 4.5", "slug": "anthropic/claude-sonnet-4.5"},
    ),
    model(
        "openai/gpt-5-mini",
        "OpenAI: GPT-5 Mini",
        {"prompt": "0.00000025", "completion": "0.000002", "input_cache_read": "0.000000025", "web_search": "0.01"},
        context_length=400_000,
        max_completion_tokens=128_000,
        inputs=["text", "image", "file"],
        supported_parameters=[*PARAMETERS, "reasoning", "include_reasoning"],
        reasoning=REASONING | {"mandatory": True, "supported_efforts": ["high", "medium", "low", "minimal"]},
    ),
    model(
        "openai/gpt-4o-mini",
        "OpenAI: GPT-4o-mini",
        {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075"},
        inputs=["text", "image", "file"],
    ),
    model(
        "deepseek/deepseek-chat",
        "DeepSeek: Chat",
        {
            "prompt": "0.00000056",
            "completion": "0.00000168",
            "overrides": [{"utc_start": 1630, "utc_end": 30, "prompt": "0.00000028", "completion": "0.00000084"}],
        },
        context_length=131_072,
        max_completion_tokens=None,
        expiration_date="2026-12-31",
    ),
    model(
        "meta-llama/llama-3.3-70b-instruct",
        "Meta: Llama 3.3 70B Instruct",
        {"prompt": "0.00000013", "completion": "0.0000004"},
        context_length=131_072,
    ),
    model(
        "meta-llama/llama-3.3-70b-instruct:free",
        "Meta: Llama 3.3 70B Instruct (free)",
        {"prompt": "0", "completion": "0"},
        context_length=65_536,
        max_completion_tokens=None,
    ),
    model(
        "openrouter/auto",
        "Auto Router",
        {"prompt": "-1", "completion": "-1"},
        context_length=2_000_000,
        max_completion_tokens=None,
        inputs=["text", "image", "audio", "file", "video"],
    ),
    model("openrouter/free", "Free Models Router", {"prompt": "0", "completion": "0"}, inputs=["text", "image"]),
    model(
        "google/gemini-2.5-flash-image",
        "Google: Gemini 2.5 Flash Image",
        {"prompt": "0.0000003", "completion": "0.0000025", "image": "0.001238", "image_output": "0.00003"},
        context_length=32_768,
        inputs=["text", "image"],
        outputs=["text", "image"],
    ),
    model(
        "openai/gpt-4o-mini-tts",
        "OpenAI: GPT-4o Mini TTS",
        {"prompt": "0.0000006", "completion": "0"},
        context_length=None,
        max_completion_tokens=None,
        outputs=["speech"],
    ),
    {"id": "vendor/unlisted-facts"},
]
"""What ``GET /models?output_modalities=all`` lists."""

KEY_STATUS: Final[dict[str, Any]] = {
    "label": "sk-or-v1-0e6...1c9",
    "limit": 10,
    "limit_remaining": 7.25,
    "limit_reset": "monthly",
    "include_byok_in_limit": False,
    "usage": 25.5,
    "usage_daily": 0.1,
    "usage_weekly": 1.5,
    "usage_monthly": 2.75,
    "byok_usage": 0,
    "byok_usage_daily": 0,
    "byok_usage_weekly": 0,
    "byok_usage_monthly": 0,
    "is_free_tier": False,
    "is_management_key": False,
    "is_provisioning_key": False,
    "creator_user_id": "user_2xyz0123456789aBcDeFgHiJkLm",
    "expires_at": "2027-01-31T23:59:59Z",
    "rate_limit": {"requests": -1, "interval": "10s", "note": "This field is deprecated and safe to ignore."},
}
"""What ``GET /key`` says."""


def models_answer(request: Request) -> Answer:
    """The list of models: of those that write text, unless all are asked for."""
    wanted = request.query.get("output_modalities", "text")
    listed = [entry for entry in MODELS if wanted == "all" or wanted in outputs_of(entry)]
    return reply_json({"data": listed, "total_count": len(listed), "links": {"next": None}})


def outputs_of(entry: dict[str, Any]) -> list[str]:
    """What an entry's model writes: text, while nothing is said."""
    outputs: list[str] = entry.get("architecture", {}).get("output_modalities", ["text"])
    return outputs


def key_answer(_: Request) -> Answer:
    """The status of the key."""
    return reply_json({"data": KEY_STATUS})
