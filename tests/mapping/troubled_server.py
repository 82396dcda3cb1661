"""A scripted OpenRouter with every trouble there is: ``python -m tests.mapping.troubled_server``.

It prints its base URL, and ends when its standard input closes. What happens to a row follows from its number, and only
when it is asked for the first time, refusals for want of credits aside. ``GET /seen`` tells what was asked and billed,
``GET /refill`` buys credits.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from decimal import Decimal

from tests.mapping.conftest import question_of
from tests.openrouter_server import Answer, Request, ScriptedOpenRouter, completion, error, reply_json, text

COST = Decimal("0.00004")
BUSY, DOWN, STALLED, CUT, MALFORMED = 500, 400, 1250, 500, 300  # no row has two of these troubles
EMPTY_AT = 3000
"""At this row the credits are used up."""


class Troubles:
    """What the server does and counts."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.requests = 0
        self.met: set[int] = set()
        self.billed: Counter[int] = Counter()
        self.refused = 0
        self.has_credits = True
        self.was_empty = False

    def __call__(self, request: Request) -> Answer:
        number = int(question_of(request).split()[-1])
        with self.lock:
            self.requests += 1
            if number == EMPTY_AT and not self.was_empty:
                self.has_credits, self.was_empty = False, True
            if not self.has_credits:
                self.refused += 1
                return error(402, "Insufficient credits.")
            is_first = number not in self.met
            self.met.add(number)
            trouble = self.trouble(number) if is_first else None
            if trouble is not None:
                self.refused += 1
                return trouble
            self.billed[number] += 1
        if is_first and number % MALFORMED == 33:
            return text('{"tone": "good", "num')
        return text(json.dumps({"tone": "good" if number % 3 else "bad", "number": number}))

    @staticmethod
    def trouble(number: int) -> Answer | None:
        """What happens instead of an answer."""
        if number % BUSY == 7:
            return error(429, "Slow down.", headers={"Retry-After": "0.05"})
        if number % DOWN == 9:
            return error(503 if number % (2 * DOWN) == 9 else 502, "Down.")
        if number % STALLED == 13:
            return reply_json(completion("never")).first(10).ending("stall")
        if number % CUT == 21:
            return reply_json(completion("never")).first(10).ending("eof" if number % (2 * CUT) == 21 else "reset")
        return None

    def seen(self, _: Request) -> Answer:
        """Tell what was asked and billed."""
        with self.lock:
            answers = sum(self.billed.values())
            return reply_json(
                {
                    "requests": self.requests,
                    "refused": self.refused,
                    "answers": answers,
                    "bill": str(answers * COST),
                    "twice": [number for number, count in self.billed.items() if count > 1],
                }
            )

    def refill(self, _: Request) -> Answer:
        """Buy credits."""
        self.has_credits = True
        return reply_json({})


def main() -> None:
    """Run until standard input closes."""
    troubles = Troubles()
    with ScriptedOpenRouter(validate=False, keep_requests=False) as server:
        server.always(troubles)
        server.on("GET", "/seen").always(troubles.seen)
        server.on("GET", "/refill").always(troubles.refill)
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
