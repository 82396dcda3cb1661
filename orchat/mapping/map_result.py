"""`MapResult`: the answers of a column as a table of the kind that was given, its bill, and its failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from orchat.chat.money import Budget, Cost
from orchat.errors import OrchatError
from orchat.mapping.answer_schema import AnswerColumn, AnswerSchema
from orchat.mapping.result_summary import ResultSummary, summary_html, summary_text
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
        names = [each.column.name for each in self._columns]
        if name not in names:
            raise KeyError(f"There is no column {name!r}; there are {', '.join(names)}.")
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
        return build_table(self._source, self._columns, self.positions if self._schema.explodes else None)

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
        """Ask for the rows again that have no answer, and return the whole result with what came of them.

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

    @cached_property
    def _rows(self) -> list[list[dict[str, Any]]]:
        """The values of the schema's columns of each row: several where answers explode."""
        empty = [dict.fromkeys([column.name for column in self._schema.columns])]
        return [
            empty if each.error is not None else list(self._schema.rows(each.value)) or empty for each in self.outcomes
        ]

    @property
    def positions(self) -> list[int]:
        """The row of the data, counted from 0, of each row of the table."""
        return [position for position, rows in enumerate(self._rows) for _ in rows]

    @cached_property
    def _columns(self) -> list[TableColumn]:
        taken = {column.name for column in self._schema.columns}

        def own(name: str) -> str:
            return f"answer_{name}" if name in taken else name

        flat = [row for rows in self._rows for row in rows]
        columns = [TableColumn(column, [row[column.name] for row in flat]) for column in self._schema.columns]
        firsts = [number == 0 for rows in self._rows for number in range(len(rows))]
        of_rows = [self.outcomes[position] for position in self.positions]
        costs = [
            None if each.cost is None else float(each.cost) if first else 0.0
            for first, each in zip(firsts, of_rows, strict=True)
        ]
        if self._schema.explodes:
            columns.append(TableColumn(AnswerColumn(own("row"), "integer"), self.positions))
        columns += [
            TableColumn(AnswerColumn(own("error"), "text"), [each.error for each in of_rows]),
            TableColumn(AnswerColumn(own("cost"), "number"), costs),
            TableColumn(AnswerColumn(own("model"), "text"), [each.model for each in of_rows]),
            TableColumn(AnswerColumn(own("finish_reason"), "text"), [each.finish_reason for each in of_rows]),
        ]
        return columns

    # -- for people -----------------------------------------------------------------------------------------------

    def _summary(self) -> ResultSummary:
        return ResultSummary(
            outcomes=self.outcomes,
            columns=self._columns[: len(self._schema.columns)],
            positions=self.positions,
            spent=self.spent,
            ended_by=None if self.ended_by is None else str(self.ended_by),
        )

    def __repr__(self) -> str:
        return summary_text(self._summary())

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        summary = self._summary()
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
