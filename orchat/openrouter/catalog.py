"""Load an endpoint's catalog of models, cached on disk for a day and for times without a network.

Nothing is fetched at import. A cached list that cannot be read is ignored; when the endpoint fails, an old list is
returned, marked as such (`Catalog.failure`, `Catalog.age_text`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchat.errors import APIError, ProviderError
from orchat.files import read_regular_file, replace_file
from orchat.openrouter.json_query import JsonEndpoint, JsonQuery
from orchat.openrouter.models import FRESH, Catalog, Model, read_models
from orchat.openrouter.wire.error_hints import is_about_unknown_model

__all__ = ["FRESH", "Catalog", "Model", "cached_catalog", "load_catalog", "load_catalog_async", "suggest_models"]

_log = logging.getLogger(__name__)

_FORMAT, _VERSION = "orchat-models", 1
_NOT_FOUND_HINT = "Does this host list its models? Is the base URL right?"
# Unless all are asked for, only those that write text are listed (API section 7.1).
_ALL_MODALITIES = {"output_modalities": "all"}
# Whoever has an old list at hand need not wait for long.
_SHORT_TIMEOUT = 10.0
# How long a list without a model is believed, by this process: a picker asks at every key.
_EMPTY_FRESH = timedelta(minutes=1)
_empty_lists: dict[str, Catalog] = {}


def load_catalog(endpoint: JsonEndpoint, *, refresh: bool = False) -> Catalog:
    """Return an endpoint's catalog: from the cache while that is fresh, else from the endpoint.

    Parameters
    ----------
    endpoint
        The endpoint; a key is not needed.
    refresh
        Whether to query the endpoint although the cache is fresh.

    Returns
    -------
    Catalog
        If the endpoint failed, the old list with the error as its ``failure``.

    Raises
    ------
    APIError
        The endpoint failed, and no list is cached.

    Examples
    --------
    >>> load_catalog(JsonEndpoint("http://127.0.0.1:9/v1", max_retries=0))
    Traceback (most recent call last):
    ...
    orchat.errors.APIConnectionError: No connection to 127.0.0.1:9: ...
    """
    cached = cached_catalog(endpoint.api_base_url)
    if not refresh and (known := _known(endpoint.api_base_url, cached)) is not None:
        return known
    try:
        return _store(endpoint.api_base_url, endpoint.get_list(_models_query(cached)))
    except APIError as error:
        return _cached_or_raise(cached, error)


async def load_catalog_async(endpoint: JsonEndpoint, *, refresh: bool = False) -> Catalog:
    """Return an endpoint's catalog, on the running event loop; see `load_catalog`."""
    cached = cached_catalog(endpoint.api_base_url)
    if not refresh and (known := _known(endpoint.api_base_url, cached)) is not None:
        return known
    try:
        return _store(endpoint.api_base_url, await endpoint.get_list_async(_models_query(cached)))
    except APIError as error:
        return _cached_or_raise(cached, error)


def _known(api_base_url: str, cached: Catalog | None) -> Catalog | None:
    """Return what is known without a request: a fresh list, or that there was none a moment ago."""
    if cached is not None and cached.is_fresh:
        return cached
    empty = _empty_lists.get(api_base_url)
    return empty if empty is not None and empty.age < _EMPTY_FRESH else None


def cached_catalog(api_base_url: str) -> Catalog | None:
    """Return the cached catalog of any age, without a request; None where there is none.

    Examples
    --------
    >>> cached_catalog("https://nobody.invalid/v1") is None
    True
    """
    try:
        path = _cache_path(api_base_url)
        status = path.stat()
    except (OSError, ValueError):  # the address may be none
        return None
    return _read_file(path, status.st_mtime_ns, status.st_size, status.st_ino)


def suggest_models(error: APIError, model: str, api_base_url: str) -> str | None:
    """Return a hint with similar model names, for an error about a model that the endpoint does not list.

    It uses the cached list only; without one, or for other errors, it returns None.

    Parameters
    ----------
    error
        The error of the request.
    model
        The name that was sent.
    api_base_url
        The base URL that it was sent to.

    Examples
    --------
    >>> suggest_models(APIError("Input is too long."), "vendor/m", "https://nobody.invalid/v1") is None
    True
    """
    if not is_about_unknown_model(error) or (catalog := cached_catalog(api_base_url)) is None:
        return None
    if catalog.get(model) is not None:
        return None
    near = catalog.near(model)
    return f"Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else None


def _models_query(cached: Catalog | None) -> JsonQuery:
    if cached is None:
        return JsonQuery("/models", _ALL_MODALITIES, not_found_hint=_NOT_FOUND_HINT)
    return JsonQuery("/models", _ALL_MODALITIES, not_found_hint=_NOT_FOUND_HINT, timeout=_SHORT_TIMEOUT, max_retries=0)


def _cached_or_raise(cached: Catalog | None, error: APIError) -> Catalog:
    """Return the cached catalog with the error as its ``failure``; raise the error where there is none."""
    if cached is None:
        raise error
    error.__context__ = None
    return Catalog(cached.models, cached.fetched_at, error.with_traceback(None))


def _store(api_base_url: str, data: Any) -> Catalog:
    """Parse the endpoint's list of models, and write it to the cache."""
    models = read_models(data) if isinstance(data, list) else ()
    if not models and data != []:
        raise ProviderError("The reply holds no list of models.", hint=_NOT_FOUND_HINT)
    catalog = Catalog(models, datetime.now(UTC))
    if not models:  # that may be true now, but is not worth a day's belief
        _empty_lists[api_base_url] = catalog
    else:
        _empty_lists.pop(api_base_url, None)
        content = {"format": _FORMAT, "version": _VERSION, "fetched_at": catalog.fetched_at.isoformat(), "data": data}
        try:
            path = _cache_path(api_base_url)
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, [json.dumps(content, separators=(",", ":")).encode("ascii")])
        except (OSError, RecursionError) as error:  # it only means to ask again next time
            _log.info("The list of models could not be kept: %s", error)
    return catalog


@lru_cache(maxsize=4)
def _read_file(path: Path, *_identity: int) -> Catalog | None:
    """Read a cache file, once while it stays the same: completion needs it at every keystroke."""
    try:
        content = json.loads(read_regular_file(path))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            return None
        fetched_at = datetime.fromisoformat(content["fetched_at"])
        models = read_models(content["data"])
        return Catalog(models, fetched_at) if models and fetched_at.tzinfo else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _cache_path(api_base_url: str) -> Path:
    """Return the path of a base URL's cache file; a password in the URL is not part of it."""
    from platformdirs import user_cache_path

    parts = urlsplit(api_base_url)
    host = re.sub(r"[^a-z0-9.-]", "-", (parts.hostname or "").lower())[:60]
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}"
    digest = hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:12]
    return user_cache_path("orchat", appauthor=False) / "models" / f"{host}-{digest}.json"
