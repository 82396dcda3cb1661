"""MLflow's gateway: usage and cost, empty streams for failures of the upstream, an endpoint that it does not know."""

from __future__ import annotations

import pytest

from orchat.errors import APIError, BadRequestError, NotFoundError, ProviderError, RateLimitError
from tests.openrouter_server import ScriptedOpenRouter, error, text, usage_object
from tests.servers.gateways import ask, needs_program, streamed

needs_program("mlflow", "mlflow[gateway]==3.17.2")
pytestmark = pytest.mark.server


@streamed
def test_mlflow_tells_usage_and_cost(mlflow_url: str, upstream: ScriptedOpenRouter, streams: bool) -> None:
    upstream.answers(text("The Humber."))
    reply = ask(mlflow_url, streams=streams)
    assert (reply.text, reply.meta["usage"]["cost"]) == ("The Humber.", usage_object()["cost"])


@pytest.mark.parametrize(
    ("status", "kind"), [(400, BadRequestError), (404, NotFoundError), (429, RateLimitError), (500, ProviderError)]
)
def test_mlflows_empty_stream_gets_its_reason(
    mlflow_url: str, upstream: ScriptedOpenRouter, status: int, kind: type[APIError]
) -> None:
    upstream.answers(error(status, "the upstream says no"), error(status, "the upstream says no"))
    with pytest.raises(kind, match="the upstream says no"):
        ask(mlflow_url)
    assert [request.json["stream"] for request in upstream.requests] == [True, False]


@streamed
def test_mlflows_unknown_endpoint_is_told_soon(
    mlflow_url: str, streams: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ProviderError, match="check the model's name there"):
        ask(mlflow_url, model="nobody", streams=streams)
    assert ["retry 1 of 1" in record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        True
    ]
