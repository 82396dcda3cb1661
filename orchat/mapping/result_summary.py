"""The summary of a result: first rows, bill, failures by reason, and a bar chart of labels and scores. Static."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchat.chat.money import Cost
from orchat.mapping.result_table import TableColumn
from orchat.mapping.row_outcome import RowOutcome

SHOWN_ROWS = 5
_LONGEST_CELL = 80
_MOST_BARS = 12
_BINS = 8


@dataclass(frozen=True)
class ResultSummary:
    """What is shown of a result.

    Parameters
    ----------
    outcomes
        Those of all rows.
    columns
        The columns of the answers, of the first rows at least.
    positions
        The row of the data of each of their values.
    spent
        The bill.
    ended_by
        Why the run ended early.
    """

    outcomes: Sequence[RowOutcome]
    columns: Sequence[TableColumn]
    positions: Sequence[int]
    spent: Cost
    ended_by: str | None

    @property
    def headline(self) -> str:
        """The figures in one line."""
        answered = sum(each.error is None for each in self.outcomes)
        stored = sum(each.is_stored for each in self.outcomes)
        text = f"{answered:,} of {len(self.outcomes):,} rows answered for {self.spent}"
        return f"{text}, {stored:,} of them from the store" if stored else text

    @property
    def failures(self) -> list[tuple[str, int, str]]:
        """The reasons of failures, how often each occurred, and one example."""
        counts = Counter(each.reason or "" for each in self.outcomes if each.error is not None)
        examples = {each.reason or "": each.error or "" for each in reversed(self.outcomes) if each.error is not None}
        return [(reason, count, examples[reason]) for reason, count in counts.most_common()]


def summary_text(summary: ResultSummary) -> str:
    """Write a summary as plain text."""
    lines = [summary.headline + "."]
    if summary.ended_by:
        lines.append(f"The run ended early: {summary.ended_by}")
    lines += [f"{count:,} x {reason}: {_cell(example)}" for reason, count, example in summary.failures]
    names = [each.column.name for each in summary.columns]
    for number in range(min(SHOWN_ROWS, len(summary.positions))):
        cells = [f"{name}={_cell(each.values[number])}" for name, each in zip(names, summary.columns, strict=True)]
        lines.append(f"  {summary.positions[number]}: {', '.join(cells)}")
    if len(summary.positions) > SHOWN_ROWS:
        lines.append(f"  ... and {len(summary.positions) - SHOWN_ROWS:,} more")
    return "\n".join(lines)


def summary_html(summary: ResultSummary) -> str:
    """Write a summary as HTML that needs no kernel, no script and no network."""
    head = "".join(f'<th scope="col">{escape(each.column.name)}</th>' for each in summary.columns)
    body = "".join(
        f'<tr><th scope="row">{summary.positions[number]}</th>'
        + "".join(f"<td>{escape(_cell(each.values[number]))}</td>" for each in summary.columns)
        + "</tr>"
        for number in range(min(SHOWN_ROWS, len(summary.positions)))
    )
    parts = [
        f"<p>{escape(summary.headline)}</p>"
        f'<table><thead><tr><th scope="col">row</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    ]
    if (more := len(summary.positions) - SHOWN_ROWS) > 0:
        parts.append(f"<p>... and {more:,} more</p>")
    if summary.ended_by:
        parts.append(f"<p>The run ended early: {escape(summary.ended_by)}</p>")
    if failures := summary.failures:
        items = "".join(
            f"<li>{count:,} &times; {escape(reason)}: {escape(_cell(example))}</li>"
            for reason, count, example in failures
        )
        parts.append(f"<p>Rows without an answer:</p><ul>{items}</ul>")
    parts += [chart for each in summary.columns if (chart := bar_chart(each)) is not None]
    return f"<div>{''.join(parts)}</div>"


def bar_chart(column: TableColumn) -> str | None:
    """Draw how often each label, or each range of a score, occurs; None for columns of another kind.

    Examples
    --------
    >>> from orchat.mapping.answer_schema import AnswerColumn
    >>> chart = bar_chart(TableColumn(AnswerColumn("tone", "label", ("good", "bad")), ["bad", "bad", "good", None]))
    >>> chart.partition('alt="')[2].partition('"')[0]
    'Bar chart of tone: good 1, bad 2'
    """
    counts = _counts(column)
    if not counts or len(counts) > _MOST_BARS:
        return None
    return draw_bars(column.column.name, [(label, float(count), f"{count:,}") for label, count in counts])


def draw_bars(name: str, bars: Sequence[tuple[str, float, str]]) -> str:
    """Draw bars as an image in HTML: the label of each, its length, and the text behind it.

    Examples
    --------
    >>> draw_bars("tide", [("high", 0.75, "75 %")]).partition('alt="')[2].partition('"')[0]
    'Bar chart of tide: high 75 %'
    """
    told = ", ".join(f"{label} {text}" for label, _, text in bars)
    longest = max((length for _, length, _ in bars), default=0.0) or 1.0
    rows = []
    for number, (label, length, text) in enumerate(bars):
        y = 24 * number
        width = round(240 * length / longest, 1)
        rows.append(
            f'<text x="112" y="{y + 15}" text-anchor="end">{escape(_shortened(label, 16))}</text>'
            f'<rect x="120" y="{y + 3}" width="{width}" height="16" fill="#4a7ebb"/>'
            f'<text x="{126 + width}" y="{y + 15}">{escape(text)}</text>'
        )
    height = 24 * len(bars)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="430" height="{height}" viewBox="0 0 430 {height}">'
        f'<rect width="430" height="{height}" fill="#fff"/>'
        f'<g font-family="sans-serif" font-size="12" fill="#222">{"".join(rows)}</g></svg>'
    )
    data = base64.b64encode(svg.encode()).decode("ascii")
    alt = escape(f"Bar chart of {name}: {told}", quote=True)
    return f'<p>{escape(name)}:<br><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></p>'


def _counts(column: TableColumn) -> list[tuple[str, int]]:
    values = [value for value in column.values if value is not None]
    if column.column.kind in {"label", "boolean"}:
        found = Counter(map(str, values))
        labels = column.column.labels or ("True", "False")
        return [(label, found[label]) for label in labels] if values else []
    if column.column.kind not in {"integer", "number"} or not values:
        return []
    distinct = sorted(set(values))
    if len(distinct) <= _BINS:
        counts = Counter(values)
        return [(_number(value), counts[value]) for value in distinct]
    low, high = float(distinct[0]), float(distinct[-1])
    width = (high - low) / _BINS
    if not 0 < width < float("inf"):
        return []
    bins = Counter(min(int((value - low) / width), _BINS - 1) for value in values)
    return [(f"{_number(low + width * n)} to {_number(low + width * (n + 1))}", bins[n]) for n in range(_BINS)]


def _number(value: float) -> str:
    return f"{value:.3g}"


def _cell(value: Any) -> str:
    return _shortened(" ".join(("" if value is None else str(value)).split()), _LONGEST_CELL)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
