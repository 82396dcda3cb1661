"""HTTP: clients, keys, retries, deadlines, and bytes to text. The only room that knows httpx.

From low to high: `call` (what is sent), `failure` (what a broken connection means), `body` (what comes back),
`client` (sending). Promises, each with its test: a key goes to the configured host only and appears in no exception; a
request is sent again only if it did not start; comments that keep a connection open do not keep a dead upstream alive;
leaving a stream closes its connection.
"""

from httpx_sse import ServerSentEvent

from orchat.openrouter.transport.http_client import HttpClient
from orchat.openrouter.transport.prepared_request import PreparedRequest, check_base_url, header_value, merge_headers
from orchat.openrouter.transport.response_body import (
    DRAIN_TIMEOUT,
    USAGE_TIMEOUT,
    ResponseBody,
    events_of,
    looks_like_events,
)

__all__ = [
    "DRAIN_TIMEOUT",
    "USAGE_TIMEOUT",
    "HttpClient",
    "PreparedRequest",
    "ResponseBody",
    "ServerSentEvent",
    "check_base_url",
    "events_of",
    "header_value",
    "looks_like_events",
    "merge_headers",
]
