"""A generator's parameters as JSON data, in Haystack's form, and back; a key goes by the name of its variable."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from orchat.errors import SerializationError
from orchat.openrouter.client_options import client_kwargs_to_dict, headers_to_dict, secrets_from_dict
from orchat.openrouter.completion_request import GENERATOR_TYPE, RequestSettings
from orchat.openrouter.wire.structured import response_format_to_dict
from orchat.tools.import_path import import_path_of, resolve_import_path
from orchat.tools.toolset import tools_from_dict, tools_to_dict

_HAYSTACK_TYPE = "haystack_integrations.components.generators.openrouter.chat.chat_generator.OpenRouterChatGenerator"


class GeneratorSettings(RequestSettings, Protocol):
    """All parameters of a generator."""

    streaming_callback: Any
    timeout: float | None
    http_client_kwargs: dict[str, Any] | None


def generator_to_dict(settings: GeneratorSettings) -> dict[str, Any]:
    """Serialize a generator's parameters; errors as of `OpenRouterChatGenerator.to_dict`."""
    kwargs = settings.generation_kwargs
    if "response_format" in kwargs:
        kwargs = {**kwargs, "response_format": response_format_to_dict(kwargs["response_format"])}
    callback = settings.streaming_callback
    values: dict[str, Any] = {
        "model": settings.model,
        "streaming_callback": import_path_of(callback) if callback else None,
        "api_base_url": settings.api_base_url,
        "generation_kwargs": {k: headers_to_dict(v) if k == "extra_headers" else v for k, v in kwargs.items()},
        "api_key": settings.api_key.to_dict() if settings.api_key is not None else None,
        "tools": tools_to_dict(settings.tools),
        "extra_headers": headers_to_dict(settings.extra_headers),
        "timeout": settings.timeout,
        "max_retries": settings.max_retries,
        "http_client_kwargs": client_kwargs_to_dict(settings.http_client_kwargs),
    }
    if limits := settings.limits.changed():
        values["limits"] = limits
    return {"type": GENERATOR_TYPE, "init_parameters": values}


def parameters_from_dict(data: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """Restore a generator's parameters, of which these are known; errors as of `OpenRouterChatGenerator.from_dict`."""
    parameters = dict(data["init_parameters"])
    if data.get("type") not in {GENERATOR_TYPE, _HAYSTACK_TYPE, "orchat.OpenRouterChatGenerator"}:
        raise SerializationError(
            f"The type {data.get('type')!r} is no OpenRouterChatGenerator.", hint=f"Its type is {GENERATOR_TYPE!r}."
        )
    if unknown := parameters.keys() - known:
        raise TypeError(f"OpenRouterChatGenerator has no parameter {', '.join(sorted(unknown))}.")
    if parameters.get("tools") is not None:
        parameters["tools"] = tools_from_dict(parameters["tools"])
    if isinstance(path := parameters.get("streaming_callback"), str):
        parameters["streaming_callback"] = resolve_import_path(path)
    return {name: secrets_from_dict(value) for name, value in parameters.items()}
