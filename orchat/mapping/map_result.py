"""`MapResult`: the answers of a column as a table of the kind that was given, its bill, and its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from orchat.chat.money import Budget, Cost
from orchat.errors import OrchatError
from orchat.mapping.answer_schema import AnswerColumn, AnswerSchema, ColumnKind
from orchat.mapping.result_summary import SHOWN_ROWS, ResultSummary, summary_html, summary_text
from orchat.mapping.result_table import TableColumn, build_table, take_column
from orchat.mapping.row_outcome import RowOutcome
from orchat.mapping.row_source import RowSource
from orchat.private_event_loop import run_in_private_loop

T = TypeVar("T")
Retry = Callable[[float | Decimal | Budget | None], Coroutine[Any, Any, "MapResult"]]


class MapResult:
    """The answers to the rows of some data; made by `orchat.map`.

    Examples
    --------
    >>> from orchat.mapping.answer_schema import answer_schema
    >>> from orchat.mapping.row_source import row_source
    >>> outcomes = [RowOutcome("The Humber.", cost=Decimal("0.1")), RowOutcome.not_asked("max_cost is reached")]
    >>> result = MapResult(row_source(["Hull", "York"]), answer_schema(), outcomes)
    >>> result["answer"], result.cost, result.failures
    (['The Humber.', None], 0.1, [{'row': 1, 'reason': 'not asked', 'error': 'not asked: max_cost is reached'}])
    """

    def __init__(
        self,
        source: RowSource,
        schema: AnswerSchema,
        outcomes: Sequence[RowOutcome],
        *,
        ended_by: OrchatError | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.outcomes = list(outcomes)
        """What each row was answered, what it cost and why it failed."""
        self.ended_by = ended_by
        """Why the run ended before every row was asked; None where it did not."""
        self._source = source
        self._schema = schema
        self._retry = retry

    def __len__(self) -> int:
        return len(self.outcomes)

    def __getitem__(self, name: str) -> Any:
        """Return a column of the table, in the order of the data."""
        if name not in self._names:
            raise KeyError(f"There is no column {name!r}; there are {', '.join(self._names)}.")
        return take_column(self.frame, name)

    @property
    def values(self) -> list[Any]:
        """The answers as the schema reads them: texts, or objects of its class; None for rows that failed."""
        return [outcome.value for outcome in self.outcomes]

    @cached_property
    def frame(self) -> Any:
        """The answers as a table: the kind, index and order of the data, or a list of dictionaries.

        Its columns are the fields of the schema, or ``answer``, and then ``error``, ``cost``, ``model`` and
        ``finish_reason`` (with ``answer_`` before the name where the schema has a field called so). Where answers
        explode, each item is a row, ``row`` says of which row of the data, and the cost stands at the first item.
        """
        return build_table(self._source, self._columns(), self.positions if self._schema.explodes else None)

    @property
    def spent(self) -> Cost:
        """The bill of this run, and the number of requests whose bill is unknown."""
        known = sum((each.cost for each in self.outcomes if each.cost is not None), Decimal(0))
        return Cost(known, sum(each.cost is None for each in self.outcomes))

    @property
    def cost(self) -> float | None:
        """The bill of this run in USD; None where a part of it is unknown."""
        return self.spent.total

    @property
    def failures(self) -> Any:
        """The rows that have no answer as a table: their place, counted from 0, the kind of failure and its text."""
        failed = [(position, each) for position, each in enumerate(self.outcomes) if each.error is not None]
        columns = [
            TableColumn(AnswerColumn("row", "integer"), [position for position, _ in failed]),
            TableColumn(AnswerColumn("reason", "text"), [each.reason for _, each in failed]),
            TableColumn(AnswerColumn("error", "text"), [each.error for _, each in failed]),
        ]
        return build_table(self._source, columns, [position for position, _ in failed])

    def retry(self, max_cost: float | Decimal | Budget | None = None) -> MapResult:
        """Ask again for the rows that have no answer, and return the whole result with their outcomes.

        Parameters
        ----------
        max_cost
            The limit in USD of this attempt; default: what the first run left of its own.
        """
        return run_column(lambda: self.retry_async(max_cost))

    async def retry_async(self, max_cost: float | Decimal | Budget | None = None) -> MapResult:
        """Do as `retry`, on the running event loop."""
        if self._retry is None or all(each.error is None for each in self.outcomes):
            return self
        return await self._retry(max_cost)

    # -- as a table -----------------------------------------------------------------------------------------------

    @property
    def positions(self) -> Sequence[int]:
        """The row of the data, counted from 0, of each row of the table."""
        if not self._schema.explodes:
            return range(len(self.outcomes))
        return [position for position, rows in enumerate(self._rows(self.outcomes)) for _ in rows]

    def _rows(self, outcomes: Sequence[RowOutcome]) -> Iterator[list[dict[str, Any]]]:
        """Yield the values of the schema's columns of each row: several where answers explode."""
        empty = [dict.fromkeys([column.name for column in self._schema.columns])]
        for each in outcomes:
            yield empty if each.error is not None else list(self._schema.rows(each.value)) or empty

    def _answers(self, outcomes: Sequence[RowOutcome]) -> list[TableColumn]:
        """Return the columns of the answers."""
        flat = [row for rows in self._rows(outcomes) for row in rows]
        return [TableColumn(column, [row[column.name] for row in flat]) for column in self._schema.columns]

    def _own_name(self, name: str) -> str:
        """Return the name of a column that is none of the answers."""
        return f"answer_{name}" if any(name == column.name for column in self._schema.columns) else name

    @property
    def _names(self) -> list[str]:
        own = [*(["row"] if self._schema.explodes else []), "error", "cost", "model", "finish_reason"]
        return [*(column.name for column in self._schema.columns), *map(self._own_name, own)]

    def _columns(self) -> list[TableColumn]:
        """Return all columns of the table."""
        positions = self.positions
        of_rows = [self.outcomes[position] for position in positions]
        costs: list[float | None] = []
        last = -1
        for position, each in zip(positions, of_rows, strict=True):
            costs.append(None if each.cost is None else float(each.cost) if position != last else 0.0)
            last = position
        values: dict[str, Sequence[Any]] = {
            "error": [each.error for each in of_rows],
            "cost": costs,
            "model": [each.model for each in of_rows],
            "finish_reason": [each.finish_reason for each in of_rows],
        }
        columns = self._answers(self.outcomes)
        if self._schema.explodes:
            columns.append(TableColumn(AnswerColumn(self._own_name("row"), "integer"), positions))
        kinds: dict[str, ColumnKind] = {"cost": "number"}
        return columns + [
            TableColumn(AnswerColumn(self._own_name(name), kinds.get(name, "text")), each)
            for name, each in values.items()
        ]

    # -- for people -----------------------------------------------------------------------------------------------

    def _summary(self, *, draws_charts: bool) -> ResultSummary:
        # Of a text the first rows are enough: it is made of a million rows as fast as of ten.
        outcomes = self.outcomes if draws_charts or self._schema.explodes else self.outcomes[:SHOWN_ROWS]
        return ResultSummary(
            outcomes=self.outcomes,
            columns=self._answers(outcomes),
            positions=self.positions,
            spent=self.spent,
            ended_by=None if self.ended_by is None else str(self.ended_by),
        )

    def __repr__(self) -> str:
        return summary_text(self._summary(draws_charts=False))

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        summary = self._summary(draws_charts=True)
        return {"text/plain": summary_text(summary), "text/html": summary_html(summary)}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)


def run_column(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a column's coroutine while this thread waits.

    Raises
    ------
    MapInterruptedError
        It was interrupted (a KeyboardInterrupt).
    """
    try:
        return run_in_private_loop(main)
    except asyncio.CancelledError as error:
        if (partial := getattr(error, "partial", None)) is None:
            raise KeyboardInterrupt from None
        raise MapInterruptedError(partial) from None


class MapInterruptedError(KeyboardInterrupt):
    """A column was interrupted; what was answered until then is its ``partial``, and in the store."""

    def __init__(self, partial: MapResult) -> None:
        super().__init__(f"interrupted after {sum(each.error is None for each in partial.outcomes):,} answers")
        self.partial = partial
