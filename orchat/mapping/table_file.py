"""Tables in files, read and written batch by batch: CSV and JSON lines by Python itself, Parquet by pyarrow."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from orchat.errors import ConfigurationError

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row]], None]

FORMATS = (".csv", ".jsonl", ".parquet")
COMMA = ","

_OTHER_DELIMITERS = (";", "\t", "|")
_QUOTED = re.compile(r'"[^"]*(?:"|\Z)')
_LONGEST_CELL = 64_000_000  # characters of a CSV file


def check_format(path: Path) -> str:
    """Return the ending of a table's file.

    Raises
    ------
    ConfigurationError
        It is none that can be read and written (a ValueError).

    Examples
    --------
    >>> check_format(Path("reviews.CSV"))
    '.csv'
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        known = ", ".join(FORMATS)
        raise ConfigurationError(f"{path.name} is no table that is known.", hint=f"Its name ends in {known}.")
    if ending == ".parquet":
        _pyarrow()
    return ending


def find_delimiter(path: Path, given: str | None = None) -> str:
    r"""Return what separates the columns of a CSV file: what is given, else what the first line tells.

    That is the comma wherever there is one; else a semicolon, a tab or a bar, which no name of a column holds that a
    prompt could use.

    Raises
    ------
    ConfigurationError
        There are several of them, or the given one is no single sign (a ValueError).

    Examples
    --------
    >>> find_delimiter(Path("any.csv"), r"\t")
    '\t'
    """
    if given is not None:
        delimiter = "\t" if given == r"\t" else given
        if len(delimiter) != 1 or delimiter in '"\r\n':
            raise ConfigurationError(
                f"--delimiter {given!r} is no single sign.", hint="Such as ';', or '\\t' for a tab."
            )
        return delimiter
    if check_format(path) != ".csv":
        return COMMA
    with _telling_errors(path), path.open(encoding="utf-8-sig") as file:
        names = _QUOTED.sub("", file.readline())
    found = [each for each in _OTHER_DELIMITERS if each in names]
    if COMMA in names or not found:
        return COMMA
    if len(found) > 1:
        raise ConfigurationError(
            f"The first line of {path} does not tell whether {' or '.join(map(repr, found))} separates its columns.",
            hint=f"Say so, such as --delimiter {found[0]!r}.",
        )
    return found[0]


def read_batches(path: Path, size: int, delimiter: str = COMMA) -> Iterator[list[dict[str, Any]]]:
    """Read the rows of a table in batches; those of a CSV file with what separates its columns.

    Raises
    ------
    ConfigurationError
        There is no such file, or it is no table of its kind (a ValueError).
    """
    ending = check_format(path)
    with _telling_errors(path):
        if ending == ".parquet":
            with _pyarrow().ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=size):
                    yield batch.to_pylist()
            return
        with path.open(encoding="utf-8-sig", newline="" if ending == ".csv" else None) as file:
            rows = _csv_rows(file, delimiter) if ending == ".csv" else _json_rows(file)
            while batch := list(islice(rows, size)):
                yield batch


@contextmanager
def _telling_errors(path: Path) -> Iterator[None]:
    """Raise what goes wrong with reading a file as ours."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path} is no {path.suffix.lower()[1:]}: {error}.") from None


def count_rows(path: Path) -> int | None:
    """Count the rows of a table; None where that would take as long as to read it."""
    if path.suffix.lower() != ".parquet":
        return None
    with suppress(OSError), _pyarrow().ParquetFile(path) as file:
        return int(file.metadata.num_rows)
    return None


@contextmanager
def batch_writer(path: Path, delimiter: str = COMMA) -> Iterator[Write]:
    """Write batches of rows to a table, which takes the place of an older one when all are written.

    Raises
    ------
    ConfigurationError
        It cannot be written (a ValueError).
    """
    ending = check_format(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        if ending == ".parquet":
            unfinished.touch()  # a folder that cannot be written is told before anything is asked
            with _parquet_writer(unfinished) as write:
                yield write
        else:
            # Half of a character goes as its escape, which is JSON too.
            newline = "" if ending == ".csv" else None
            with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline=newline) as file:
                yield _csv_writer(file, delimiter) if ending == ".csv" else _json_writer(file)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _csv_rows(file: IO[str], delimiter: str) -> Iterator[dict[str, Any]]:
    # The limit is one of the process, 131,072 characters unless somebody raised it; a cell may hold a document.
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_CELL))
    reader = csv.DictReader(file, delimiter=delimiter)
    names = list(reader.fieldnames or ())
    if double := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"several columns are called {double[0]!r}")
    for row in reader:
        if None in row:
            raise ValueError(f"line {reader.line_num} has more cells than the first line")
        yield row


def _json_rows(file: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():  # as at the end of many files
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number}: a line is a {type(row).__name__}, not an object")
        yield row


def _csv_writer(file: IO[str], delimiter: str) -> Write:
    writer: csv.DictWriter[str] | None = None

    def write(rows: Sequence[Row]) -> None:
        nonlocal writer
        if writer is None:
            writer = csv.DictWriter(file, _names(rows), delimiter=delimiter)
            writer.writeheader()
        _check_names(rows, writer.fieldnames)
        writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)

    return write


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _check_names(rows: Sequence[Row], known: Collection[str]) -> None:
    """Raise where rows have a column that the table does not have, whose columns are those of its first batch."""
    if new := [name for name in _names(rows) if name not in known]:
        raise ConfigurationError(
            f"The column {new[0]!r} comes too late to be one of the table.", hint="Write to a .jsonl file."
        )


def _csv_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _json_writer(file: IO[str]) -> Write:
    def write(rows: Sequence[Row]) -> None:
        file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)

    return write


@contextmanager
def _parquet_writer(path: Path) -> Iterator[Write]:
    import pyarrow

    writer: Any = None

    def write(rows: Sequence[Row]) -> None:
        nonlocal writer
        names = _names(rows) if writer is None else writer.schema.names
        _check_names(rows, names)
        columns = {name: _arrow_column(name, [row.get(name) for row in rows], writer) for name in names}
        table = pyarrow.table(columns)
        if writer is None:
            writer = _pyarrow().ParquetWriter(path, table.schema)
        writer.write_table(table)

    try:
        yield write
        if writer is None:  # no rows
            _pyarrow().write_table(pyarrow.table({}), path)
    finally:
        if writer is not None:
            writer.close()


def _arrow_column(name: str, values: list[Any], writer: Any) -> Any:
    """Return a column for Parquet, of the type that it has in the batches before.

    Raises
    ------
    ConfigurationError
        It has no type, or another one than before (a ValueError).
    """
    import pyarrow

    known = None if writer is None else writer.schema.field(name).type
    try:
        column = pyarrow.array(values)
        if known is None and pyarrow.types.is_null(column.type):
            known = pyarrow.string()  # what a column without any value yet is most often
        elif known is None and pyarrow.types.is_struct(column.type) and not column.type.num_fields:
            raise pyarrow.ArrowNotImplementedError("its objects are empty")
        return column if known is None else column.cast(known)
    except (pyarrow.ArrowException, OverflowError, UnicodeError) as error:
        raise ConfigurationError(
            f"The column {name!r} cannot be one of a Parquet file: {error}.", hint="Write to a .jsonl file."
        ) from None


def _pyarrow() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("Parquet needs the package pyarrow.", hint="pip install pyarrow.") from None
    return parquet
