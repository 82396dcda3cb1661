"""Five thousand rows through every trouble: each is answered, and paid, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel

import orchat
from orchat.errors import APIConnectionError, APITimeoutError, InsufficientCreditsError, OutputValidationError
from tests.mapping.conftest import KEY
from tests.mapping.troubled_server import CUT, EMPTY_AT, MALFORMED, STALLED
from tests.patience import stretched

ROWS = 5000


class Tone(BaseModel):
    tone: Literal["good", "bad"]
    number: int


@pytest.fixture
def troubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The base URL of the server, in a process of its own."""
    command = [sys.executable, "-m", "tests.mapping.troubled_server"]
    folder = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        monkeypatch.setenv("OPENROUTER_BASE_URL", url)
        monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
        yield url
        process.communicate()


@pytest.mark.slow
def test_five_thousand_rows_through_every_trouble(troubled: str) -> None:
    with httpx.Client(base_url=troubled, trust_env=False) as http:

        def seen() -> dict[str, Any]:
            found: dict[str, Any] = http.get("/seen").json()
            return found

        def run() -> orchat.mapping.MapResult:
            rows = ({"number": number} for number in range(ROWS))
            return orchat.map("Tone of {number}", list(rows), schema=Tone, timeout=stretched(1.5), progress=False)

        first = run()
        assert isinstance(first.ended_by, InsufficientCreditsError)
        after_first = seen()
        assert after_first["requests"] <= EMPTY_AT + 64 + after_first["refused"]
        answered = sum(value is not None for value in first.values)
        assert EMPTY_AT - 64 - 40 < answered <= EMPTY_AT + 64
        assert first.failures[-1]["error"].startswith("not asked: HTTP 402")

        http.get("/refill")
        second = run()
        assert second.ended_by is None
        reasons = {row["row"]: row["reason"] for row in second.failures}
        # What was malformed was paid, so it is not asked again by itself; what was cut or stalled before is.
        expected = {number: OutputValidationError.__name__ for number in range(ROWS) if number % MALFORMED == 33}
        expected |= {number: APITimeoutError.__name__ for number in range(EMPTY_AT, ROWS) if number % STALLED == 13}
        assert {row: reason for row, reason in reasons.items() if row % CUT != 21} == expected
        assert all(reason == APIConnectionError.__name__ for row, reason in reasons.items() if row % CUT == 21)
        assert seen()["twice"] == []
        known = first.spent.known + second.spent.known
        assert known == Decimal(seen()["bill"])  # to the last digit
        assert sum(value is not None for value in second.values) == ROWS - len(reasons)

        third = second.retry()
        assert third.failures == []
        assert [value.number for value in third.values] == list(range(ROWS))
        final = seen()
        assert final["twice"] == [number for number in range(ROWS) if number % MALFORMED == 33]
        assert final["answers"] == ROWS + len(final["twice"])
        unanswered = sum(number % STALLED == 13 or number % CUT == 21 for number in range(ROWS))
        assert final["requests"] == final["answers"] + final["refused"]
        assert final["refused"] >= unanswered
