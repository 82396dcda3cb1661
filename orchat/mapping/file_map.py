"""A table in a file, batch by batch: each row with its answer goes to another file (``orchat map``)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchat.chat.money import Budget, Cost
from orchat.configuration import setting
from orchat.errors import BudgetExceededError, ConfigurationError
from orchat.mapping.column_map import map, map_async  # noqa: A004 - that is what they do
from orchat.mapping.map_estimate import MapEstimate
from orchat.mapping.map_result import MapResult
from orchat.mapping.progress_bar import ProgressBar
from orchat.mapping.table_file import batch_writer, check_format, count_rows, find_delimiter, read_batches

BATCH = 5_000


class FileMapSummary:
    """What was done: rows, failures by reason, the bill, and why it ended early."""

    def __init__(self) -> None:
        self.rows = 0
        self.failures: dict[str, int] = {}
        self.spent = Cost()
        self.ended_by: str | None = None

    def add(self, result: MapResult) -> None:
        """Add a batch."""
        self.rows += len(result)
        self.spent += result.spent
        for outcome in result.outcomes:
            if outcome.error is not None:
                reason = outcome.reason or "failed"
                self.failures[reason] = self.failures.get(reason, 0) + 1
        if result.ended_by is not None:
            self.ended_by = str(result.ended_by)

    def __str__(self) -> str:
        failed = ", ".join(f"{count:,} x {reason}" for reason, count in self.failures.items())
        return f"{self.rows:,} rows for {self.spent}" + (f"; without an answer: {failed}" if failed else "")


def map_file(
    source: Path,
    prompt: str,
    target: Path,
    *,
    max_cost: float | Decimal | None = None,
    progress: bool = True,
    batch: int = BATCH,
    delimiter: str | None = None,
    **options: Any,
) -> FileMapSummary:
    """Ask about each row of a file, and write the rows with their answers to another one.

    No more than a batch is in memory. Where it is interrupted or its limit is reached, the target is not written; the
    answers so far are in the store, so that the same command goes on.

    Parameters
    ----------
    source, target
        CSV, JSON lines or Parquet, by the endings of their names.
    prompt
        ``{column}`` stands for a row's value.
    max_cost
        The limit in USD for all batches; without one, the whole file must cost less than ``confirm_above``.
    progress
        Whether to show a bar.
    batch
        The number of rows that are read at a time.
    delimiter
        What separates the columns of a CSV file; None for what its first line tells. The result has the same.
    **options
        As of `orchat.map`.

    Raises
    ------
    ConfigurationError
        A file cannot be read or written, or is no table (a ValueError).
    BudgetExceededError, APIError
        No further row can be asked.
    """
    check_format(target)
    if source.resolve() == target.resolve():
        raise ConfigurationError("The result would take the place of its source.", hint="Name another file.")
    summary = FileMapSummary()
    delimiter = find_delimiter(source, delimiter)
    budget = Budget.of(max_cost)
    if budget is None:
        _confirm(estimate_file(source, prompt, batch=batch, delimiter=delimiter, **options))
    total = count_rows(source)
    with batch_writer(target, delimiter) as write:
        bar = ProgressBar(total, is_shown=progress)
        try:
            for rows in read_batches(source, batch, delimiter):
                result = map(prompt, rows, max_cost=budget, progress=False, **options)
                summary.add(result)
                for outcome in result.outcomes:
                    bar.advance(outcome)
                answers = zip(result.positions, result.frame, strict=True)
                taken = {name for row in rows for name in row}
                write([{**rows[position], **_renamed(answer, taken)} for position, answer in answers])
                if result.ended_by is not None:
                    raise result.ended_by
        finally:
            bar.close()
    return summary


def estimate_file(
    source: Path, prompt: str, *, batch: int = BATCH, delimiter: str | None = None, **options: Any
) -> MapEstimate:
    """Estimate what a file will take; nothing is asked."""
    delimiter = find_delimiter(source, delimiter)

    async def estimates() -> list[MapEstimate]:
        batches = read_batches(source, batch, delimiter)
        return [await map_async(prompt, rows, dry_run=True, **options) for rows in batches]

    parts = asyncio.run(estimates())
    costs = [(part.cost, part.most) for part in parts]
    known = all(cost is not None for cost, _ in costs)
    return MapEstimate(
        rows=sum(part.rows for part in parts),
        requests=sum(part.requests for part in parts),
        stored=sum(part.stored for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
        cost=sum((cost or Decimal(0) for cost, _ in costs), Decimal(0)) if known else None,
        most=sum((most or Decimal(0) for _, most in costs), Decimal(0)) if known else None,
    )


def _confirm(estimate: MapEstimate) -> None:
    """Raise where the whole file would cost more than may be spent unasked."""
    limit = setting("confirm_above")
    if limit is not None and estimate.cost is not None and estimate.cost > limit:
        raise BudgetExceededError(
            f"This file would take {estimate}.",
            hint=f"Give --max-cost, in USD, or raise ORCHAT_CONFIRM_ABOVE, which is ${limit}.",
        )


def _renamed(answer: dict[str, Any], taken: Collection[str]) -> dict[str, Any]:
    """Return the answer's columns; names that are taken get ``answer_`` before them, as often as needed."""
    renamed: dict[str, Any] = {}
    for name, value in answer.items():
        free = name
        while free in taken or free in renamed or (free != name and free in answer):
            free = f"answer_{free}"
        renamed[free] = value
    return renamed
