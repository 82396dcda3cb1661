"""Make the default generator, prices, budget and store from arguments, configuration and environment, in that order.

A generator made directly ignores them. The embedded model is used only for a ``local/`` model.
"""

from __future__ import annotations

import os
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from orchat.chat import Chat, ask
from orchat.chat.chat_dependencies import set_generator_factory, set_price_lookup, set_shared_budget
from orchat.chat.money import Budget
from orchat.configuration import (
    BASE_URL_VARIABLE,
    KEY_VARIABLE,
    look_up_key,
    provider_policy,
    resolve_model_alias,
    setting,
)
from orchat.errors import APIError, ConfigurationError, MissingKeyError
from orchat.openrouter.dialect import (
    DEFAULT_BASE_URL,
    DEMO_NOTE,
    LOCAL_CONTEXT,
    LOCAL_MODEL,
    LOCAL_PREFIX,
    is_loopback,
    is_openrouter,
)
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_query import JsonEndpoint
from orchat.openrouter.prices import RequestSize
from orchat.openrouter.response_limits import ResponseLimits
from orchat.secret import Secret

if TYPE_CHECKING:
    from orchat.answer_store import AnswerStore
    from orchat.openrouter.models import Catalog

__all__ = ["Chat", "ask", "catalog_endpoint", "connect", "context_length", "list_price", "open_store", "session_budget"]

THREE_WAYS = (
    f"Set {KEY_VARIABLE} to a key from openrouter.ai/settings/keys",
    f"ask the embedded model, `{LOCAL_MODEL}`, which needs no account ({DEMO_NOTE})",
    f"or name another host with {BASE_URL_VARIABLE}",
)


def connect(
    model: str | None = None, *, api_key: Secret | None = None, api_base_url: str | None = None, **parameters: Any
) -> OpenRouterChatGenerator:
    """Make the generator for a model, with the configured key, base URL and generation kwargs.

    Parameters
    ----------
    model
        A name or an alias; default: the configured one (`orchat.configuration`). A ``local/`` model starts the
        embedded one, unless its server runs already.
    api_key
        Default: ``OPENROUTER_API_KEY``; a host of this machine needs none.
    api_base_url
        Default: the configured one, else OpenRouter.
    **parameters
        Further parameters of `OpenRouterChatGenerator`; its ``generation_kwargs`` override the settings for providers
        and length.

    Raises
    ------
    MissingKeyError
        No key is set; the hint names the three ways on (a ValueError).
    ConfigurationError
        The embedded model cannot be started, or there is none of that name (a ValueError).

    Examples
    --------
    >>> connect("vendor/m", api_key=Secret.from_token("sk-or-v1-0123456789")).model
    'vendor/m'
    """
    model = resolve_model_alias(model)
    parameters.setdefault("limits", setting("limits"))
    if model.startswith(LOCAL_PREFIX) and api_base_url is None:
        api_base_url, api_key = _local_endpoint(model)
    api_base_url = api_base_url or str(setting("base_url"))
    if api_key is None:
        api_key = _key_for(api_base_url)
    if merged := generation_defaults(api_base_url, parameters.get("generation_kwargs") or {}):
        parameters["generation_kwargs"] = merged
    return OpenRouterChatGenerator(api_key=api_key, model=model, api_base_url=api_base_url, **parameters)


def catalog_endpoint() -> JsonEndpoint:
    """Make the endpoint for queries of models, prices and the account; listing models needs no key.

    Examples
    --------
    >>> catalog_endpoint().api_base_url.startswith("http")
    True
    """
    api_base_url = str(setting("base_url"))
    key = Secret.from_env_var(KEY_VARIABLE, strict=False)
    return JsonEndpoint(api_base_url, key, limits=ResponseLimits.of(setting("limits")))


def listed_models() -> Catalog:
    """Return the endpoint's models for a person who asks for the list; a server on this machine is always asked.

    What it serves changes with each start, and the history of cells is cut to the context that it tells.

    Raises
    ------
    APIError
        The endpoint failed, and no list is cached.
    """
    from orchat.openrouter.catalog import load_catalog

    endpoint = catalog_endpoint()
    return load_catalog(endpoint, refresh=is_loopback(endpoint.api_base_url))


class _Session:
    """State that lasts as long as the process."""

    budget = Budget(None)


def session_budget() -> Budget:
    """Return the budget of this process: its spending, and its limit where one is set.

    Examples
    --------
    >>> session_budget().limit is None
    True
    """
    limit = setting("max_cost")
    _Session.budget.limit = limit
    return _Session.budget


def generation_defaults(api_base_url: str, given: dict[str, Any]) -> dict[str, Any]:
    """Merge the given generation kwargs over those of the settings."""
    kwargs = dict(given)
    if (max_tokens := setting("max_tokens")) is not None and not {"max_tokens", "max_completion_tokens"} & set(kwargs):
        kwargs["max_tokens"] = max_tokens
    if (policy := provider_policy()) and is_openrouter(api_base_url):
        kwargs["provider"] = {**policy, **(kwargs.get("provider") or {})}
    return kwargs


def _key_for(api_base_url: str) -> Secret:
    # An empty variable is how people switch one off.
    if os.environ.get(KEY_VARIABLE):
        return Secret.from_env_var(KEY_VARIABLE)
    if (found := look_up_key(api_base_url)) is not None:
        return Secret.from_token(found)
    if api_base_url == DEFAULT_BASE_URL:
        raise MissingKeyError("There is no API key.", hint="; ".join(THREE_WAYS) + ".")
    # Another host may want none; if it does, it says so.
    return Secret.from_env_var(KEY_VARIABLE, strict=False)


def _local_endpoint(model: str) -> tuple[str, Secret]:
    """Return the base URL and the key of the embedded model, which runs from now on."""
    from orchat import local

    if model != LOCAL_MODEL:
        raise ConfigurationError(f"There is no embedded model {model!r}.", hint=f"There is `{LOCAL_MODEL}`.")
    server = local.shared_server()
    return server.base_url, server.api_key


def list_price(model: str, size: RequestSize) -> Decimal | None:
    """Estimate the cost of a request in USD by the endpoint's catalog, cached on disk; None where unknown.

    The embedded model costs nothing.

    Examples
    --------
    >>> list_price(LOCAL_MODEL, RequestSize(1_000, 1_000))
    Decimal('0')
    """
    from orchat.openrouter.catalog import load_catalog

    if model.startswith(LOCAL_PREFIX):
        return Decimal(0)
    try:
        return load_catalog(catalog_endpoint()).price(model, size)
    except APIError:  # no list: a budget then refuses, unless it was told not to
        return None


def context_length(model: str) -> int | None:
    """Return a model's context length in tokens from the cached catalog, without a request; None where unknown.

    Examples
    --------
    >>> context_length(LOCAL_MODEL)
    4096
    """
    from orchat.openrouter.catalog import cached_catalog

    if model.startswith(LOCAL_PREFIX):
        return LOCAL_CONTEXT
    catalog = cached_catalog(str(setting("base_url")))
    known = None if catalog is None else catalog.get(model)
    return None if known is None else known.context_length


def open_store(store: AnswerStore | str | os.PathLike[str] | bool | None = None) -> AnswerStore | None:
    """Open a store of answers, which its user closes.

    Parameters
    ----------
    store
        A file; default (also True): the configured one, else one in the user's data folder. False, and a configured
        ``none``, for no store; a store that is open is returned as it is.

    Raises
    ------
    StateError
        The file is something else, damaged, or cannot be written.

    Examples
    --------
    >>> open_store(False) is None
    True
    """
    from platformdirs import user_data_path

    from orchat.answer_store import SqliteAnswerStore

    if store is None or store is True:
        store = setting("store")
        if store is None:
            store = user_data_path("orchat", appauthor=False) / "answers.sqlite"
        elif str(store).lower() == "none":
            store = False
    if isinstance(store, bool):
        return None
    if isinstance(store, str | os.PathLike):
        return SqliteAnswerStore(store, most_bytes=setting("store_limit"))
    return store


# With `Chat` from here, as `orchat` exports it, a model's name is enough, and a budget can be set.
set_generator_factory(connect)
set_price_lookup(list_price)
set_shared_budget(session_budget)
