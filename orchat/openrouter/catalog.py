"""Catalogues: lists of models asked for, and kept on disk for a day and for the times without a network.

Nothing is fetched at import. A list on disk that cannot be read is as good as none; when an endpoint cannot be asked,
an old list is better than none, and says so (`Catalog.failure`, `Catalog.age_text`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchat.errors import APIError, BadRequestError, ProviderError
from orchat.openrouter.json_query import JsonEndpoint, JsonQuery
from orchat.openrouter.models import FRESH, Catalog, Model, read_models

__all__ = ["FRESH", "Catalog", "Model", "cached_catalog", "load_catalog", "load_catalog_async", "suggest_model"]

_log = logging.getLogger(__name__)

_FORMAT, _VERSION = "orchat-models", 1
_ABSENT = "Does this host list its models? Is the base URL right?"
# Unless all are asked for, only those that write text are listed (API section 7.1).
_EVERY_KIND = {"output_modalities": "all"}
# Whoever has an old list at hand need not wait for long.
_SHORT_TIMEOUT = 10.0


def load_catalog(endpoint: JsonEndpoint, *, refresh: bool = False) -> Catalog:
    """Return an endpoint's models: from disk while that list is fresh, else asked for.

    Parameters
    ----------
    endpoint
        Where to ask; a key is not needed.
    refresh
        Ask even though the list on disk is fresh.

    Returns
    -------
    Catalog
        Where the endpoint failed, the old list with the error as its ``failure``.

    Raises
    ------
    APIError
        The endpoint failed, and there is no list on disk.

    Examples
    --------
    >>> load_catalog(JsonEndpoint("http://127.0.0.1:9/v1", max_retries=0))
    Traceback (most recent call last):
    ...
    orchat.errors.APIConnectionError: No connection to 127.0.0.1: ...
    """
    kept = cached_catalog(endpoint.api_base_url)
    if kept is not None and kept.is_fresh and not refresh:
        return kept
    try:
        return _keep(endpoint.api_base_url, endpoint.get(_query(kept)))
    except APIError as error:
        return _rather(kept, error)


async def load_catalog_async(endpoint: JsonEndpoint, *, refresh: bool = False) -> Catalog:
    """Like `load_catalog`, on the running event loop."""
    kept = cached_catalog(endpoint.api_base_url)
    if kept is not None and kept.is_fresh and not refresh:
        return kept
    try:
        return _keep(endpoint.api_base_url, await endpoint.get_async(_query(kept)))
    except APIError as error:
        return _rather(kept, error)


def cached_catalog(api_base_url: str) -> Catalog | None:
    """Return the list on disk, however old, without asking anybody; None where there is none.

    Examples
    --------
    >>> cached_catalog("https://nobody.invalid/v1") is None
    True
    """
    try:
        path = _path_of(api_base_url)
        found = path.stat()
    except (OSError, ValueError):  # the address may be none
        return None
    return _read(path, found.st_mtime_ns, found.st_size, found.st_ino)


def suggest_model(error: APIError, model: str, api_base_url: str) -> str | None:
    """Return a hint that names near models, for an error that says that there is no such one.

    It looks at the list on disk only; without one, or for other errors, it returns None.

    Parameters
    ----------
    error
        What asking raised.
    model
        The name that was sent.
    api_base_url
        Where it was sent.

    Examples
    --------
    >>> suggest_model(BadRequestError("Input is too long."), "vendor/m", "https://nobody.invalid/v1") is None
    True
    """
    availability = error.body.get("availability") if isinstance(error.body, dict) else None
    code = availability.get("code") if isinstance(availability, dict) else None
    unknown = "not a valid model" in error.message.lower() or code == "model_not_found"
    if not isinstance(error, BadRequestError) or not unknown:
        return None
    catalog = cached_catalog(api_base_url)
    near = [] if catalog is None else [name for name in catalog.near(model) if name != model]
    return f"Did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else None


def _query(kept: Catalog | None) -> JsonQuery:
    if kept is None:
        return JsonQuery("/models", _EVERY_KIND, absent=_ABSENT)
    return JsonQuery("/models", _EVERY_KIND, absent=_ABSENT, timeout=_SHORT_TIMEOUT, max_retries=0)


def _rather(kept: Catalog | None, error: APIError) -> Catalog:
    """Return the old list where there is one, with the reason why it is not newer."""
    if kept is None:
        raise error
    error.__context__ = None
    return Catalog(kept.models, kept.fetched_at, error.with_traceback(None))


def _keep(api_base_url: str, data: Any) -> Catalog:
    """Read an answer and write it to disk."""
    models = read_models(data) if isinstance(data, list) else ()
    if not models and data != []:
        raise ProviderError("The reply holds no list of models.", hint=_ABSENT)
    catalog = Catalog(models, datetime.now(UTC))
    if models:  # none at all may be true now, but is not worth a day's belief
        content = {"format": _FORMAT, "version": _VERSION, "fetched_at": catalog.fetched_at.isoformat(), "data": data}
        try:
            _write(_path_of(api_base_url), json.dumps(content, separators=(",", ":")))
        except (OSError, RecursionError) as error:  # it only means to ask again next time
            _log.info("The list of models could not be kept: %s", error)
    return catalog


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all, whoever else writes it in that moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


@lru_cache(maxsize=4)
def _read(path: Path, *_identity: int) -> Catalog | None:
    """Read a file, once while it stays the same: completion asks at every keystroke."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if (content["format"], content["version"]) != (_FORMAT, _VERSION):
            return None
        fetched_at = datetime.fromisoformat(content["fetched_at"])
        models = read_models(content["data"])
        return Catalog(models, fetched_at) if models and fetched_at.tzinfo else None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _path_of(api_base_url: str) -> Path:
    """Return where the list of a base URL is kept; a password in the address is no part of it."""
    from platformdirs import user_cache_path

    parts = urlsplit(api_base_url)
    host = re.sub(r"[^a-z0-9.-]", "-", (parts.hostname or "").lower())[:60]
    address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}{parts.path.rstrip('/')}"
    digest = hashlib.sha256(address.encode("utf-8", "replace")).hexdigest()[:12]
    return user_cache_path("orchat", appauthor=False) / "models" / f"{host}-{digest}.json"
