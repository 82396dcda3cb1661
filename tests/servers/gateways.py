"""Gateways that run as programs of their own: LiteLLM's proxy and MLflow's gateway, with the scripted server behind.

Each wants an environment of its own, so they are looked for on the ``PATH``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret

LITELLM_KEY = "sk-master-0123456789abcdef0123456789abcdef"


streamed = pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])


def needs_program(name: str, package: str) -> None:
    """Skip a module where a program is not on the ``PATH``, and say how to get it."""
    if shutil.which(name) is None:
        reason = f"{name} is not on the PATH: pip install '{package}' in an environment of its own"
        pytest.skip(reason, allow_module_level=True)


def ask(
    url: str,
    messages: str | list[ChatMessage] = "Hi",
    *,
    model: str = "smol",
    key: str = LITELLM_KEY,
    streams: bool = True,
) -> ChatMessage:
    """Ask a gateway, streamed or whole."""
    generator = OpenRouterChatGenerator(api_key=Secret.from_token(key), model=model, api_base_url=url, timeout=60)
    try:
        [reply] = generator.run(messages, (lambda chunk: None) if streams else None)["replies"]
    finally:
        generator.close()
    return reply


def litellm_command(upstream: str, folder: Path) -> Callable[[int], list[str]]:
    """Return the command of LiteLLM's proxy for a port; it knows the models ``smol`` and ``gpt-4o-mini``."""
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": upstream, "api_key": "k"}}
        for name in ("smol", "gpt-4o-mini")
    ]
    config = folder / "litellm.yaml"  # JSON is YAML
    config.write_text(json.dumps({"model_list": models, "general_settings": {"master_key": LITELLM_KEY}}))
    return lambda port: [
        str(shutil.which("litellm")),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]


def mlflow_command(upstream: str, folder: Path) -> Callable[[int], list[str]]:
    """Return the command of MLflow's gateway for a port; it knows the endpoint ``smol``."""
    model = {"provider": "openai", "name": "smol", "config": {"openai_api_key": "k", "openai_api_base": upstream}}
    config = folder / "gateway.yaml"
    config.write_text(json.dumps({"endpoints": [{"name": "smol", "endpoint_type": "llm/v1/chat", "model": model}]}))
    return lambda port: [
        str(shutil.which("mlflow")),
        "gateway",
        "start",
        "--config-path",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
