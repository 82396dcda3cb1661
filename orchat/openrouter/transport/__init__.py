"""The HTTP transport: connections, authorization, retries, deadlines and response bodies, by httpx2 or httpx.

From low to high: `http_package`, `prepared_request`, `network_environment`, `certificates`, `connection_errors`,
`connection_pool`, `sharded_transport`, `event_stream_detection`, `content_decoder`, `response_size`, `event_splitter`,
`response_events`, `deadline_alarm`, `response_body`, `retry_rules`, `http_client`. Promises, each with its test: a key
goes to the configured host only and appears in no exception; a request is sent again only if it did not start;
connections are shared, and nothing else; comments that keep a connection open do not keep a dead upstream alive;
leaving a stream closes its connection; nothing is read beyond its limits.
"""

from orchat.openrouter.transport.event_splitter import ServerSentEvent, events_of
from orchat.openrouter.transport.event_stream_detection import looks_like_events
from orchat.openrouter.transport.http_client import HttpClient
from orchat.openrouter.transport.prepared_request import PreparedRequest, check_base_url, key_value, merge_headers
from orchat.openrouter.transport.response_body import DRAIN_TIMEOUT, USAGE_TIMEOUT, ResponseBody

__all__ = [
    "DRAIN_TIMEOUT",
    "USAGE_TIMEOUT",
    "HttpClient",
    "PreparedRequest",
    "ResponseBody",
    "ServerSentEvent",
    "check_base_url",
    "events_of",
    "key_value",
    "looks_like_events",
    "merge_headers",
]
