"""The HTTP package that a client is made with: httpx2, or httpx where a caller's objects are of that package.

Both have the same names, so that the code is written once; a package is a value of type Any here. Their objects cannot
be mixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_PACKAGES = ("httpx2", "httpx")


def engine_of(client_kwargs: Mapping[str, Any]) -> Any:
    """Return the package for a client's arguments.

    Raises
    ------
    TypeError
        They hold objects of both packages.

    Examples
    --------
    >>> import httpx
    >>> engine_of({}).__name__, engine_of({"transport": httpx.MockTransport(lambda request: None)}).__name__
    ('httpx2', 'httpx')
    """
    found = {package for value in _objects(client_kwargs) if (package := _package_of(value)) is not None}
    if len(found) > 1:
        raise TypeError("http_client_kwargs hold objects of both httpx and httpx2: use those of one package.")
    if found == {"httpx"}:
        import httpx

        return httpx
    import httpx2

    return httpx2


def error_names(error: BaseException) -> frozenset[str]:
    """Return the names of an error's classes, which are the same in both packages.

    Examples
    --------
    >>> import httpx2
    >>> "TimeoutException" in error_names(httpx2.ConnectTimeout("late"))
    True
    """
    return frozenset(each.__name__ for each in type(error).__mro__)


def _objects(client_kwargs: Mapping[str, Any]) -> Iterator[Any]:
    for value in client_kwargs.values():
        yield value
        if isinstance(value, Mapping):  # transports by the addresses that they are for
            yield from value.values()


def _package_of(value: Any) -> str | None:
    """Return which of the packages has the class of an object, or a class below it."""
    modules = (each.__module__.partition(".")[0] for each in type(value).__mro__)
    return next((module for module in modules if module in _PACKAGES), None)
