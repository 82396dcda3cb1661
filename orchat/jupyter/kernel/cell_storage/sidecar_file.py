"""The sidecar file of a notebook, ``NAME.orchat.jsonl``: conversations outside of the notebook.

It holds parts (``turns``, ``panels``), and in each of them values by key, as lines of JSON
(`orchat.jupyter.kernel.cell_storage.json_lines_file`). Before, it was one JSON object, ``NAME.orchat.json``: such a
file is read as well, and the first write moves what it holds into the new one. A file that is damaged, or of a newer
orchat, stays untouched.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchat.chat.state import FORMAT, VERSION
from orchat.errors import StateError
from orchat.files import read_regular_file
from orchat.jupyter.kernel.cell_storage.json_lines_file import MOVE_HINT, JsonLinesFile
from orchat.jupyter.kernel.cell_storage.sidecar_lines import Change, Name

_MOST_BYTES_OF_OLD = 50_000_000  # what it could grow to


class SidecarFile:
    """Read and write the sidecar file of a notebook.

    Parameters
    ----------
    notebook
        The path of the notebook; None where it is unknown.

    Attributes
    ----------
    path
        The path of the file, which need not exist; None where no notebook is known.

    Examples
    --------
    >>> sidecar = SidecarFile(None)
    >>> sidecar.path, sidecar.part("panels")
    (None, {})
    """

    def __init__(self, notebook: str | None) -> None:
        known = notebook is not None and notebook.endswith(".ipynb") and Path(notebook).parent.is_dir()
        self._notebook = Path(str(notebook))
        self.path = self._notebook.with_suffix(".orchat.jsonl") if known else None
        self._old_path = self._notebook.with_suffix(".orchat.json")

    def part(self, part: str) -> dict[str, Any]:
        """Return the values of a part, by key.

        Raises
        ------
        StateError
            The file cannot be read.
        """
        if self.path is None:
            return {}
        values = {**self._old_values(), **JsonLinesFile(self.path).read()}
        return {key: value for (found, key), value in values.items() if found == part and value is not None}

    def put(self, part: str, key: str, value: Any, *, addition: Any = None) -> None:
        """Store a value under a key, or remove it with None; when it returns, it outlives a crash of the machine.

        Parameters
        ----------
        part
            The part.
        key
            The key.
        value
            The whole value, as JSON.
        addition
            What the value's lists have more than what this process stored last, which is less to write.

        Raises
        ------
        StateError
            The file exists and cannot be read; it stays as it is.
        OSError
            The file cannot be written now, and nothing has changed.
        """
        if self.path is None:
            raise FileNotFoundError("no notebook is known")
        file, changes = JsonLinesFile(self.path), [Change((part, key), value, addition)]
        old_values = self._old_values()
        if old_values:
            known = file.read()
            changes += [Change(n, each) for n, each in old_values.items() if n not in known and n != (part, key)]
        mode = None
        with suppress(OSError):
            mode = self._notebook.stat().st_mode & 0o666
        file.write(changes, mode=mode)
        if old_values:
            with suppress(OSError):
                self._old_path.unlink()

    def try_put(self, part: str, key: str, value: Any, *, addition: Any = None) -> str:
        """Store a value as `put` does, and return why that failed; empty where it did not."""
        try:
            self.put(part, key, value, addition=addition)
        except StateError as error:
            return str(error)
        except OSError as error:
            name = self.path.name if self.path is not None else "It"
            return f"{name} cannot be written: {error.strerror or type(error).__name__}."
        return ""

    def _old_values(self) -> dict[Name, Any]:
        name = self._old_path.name
        try:
            data = json.loads(read_regular_file(self._old_path, _MOST_BYTES_OF_OLD))
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not self._old_path.is_symlink():
                return {}
            raise StateError(f"{name} cannot be read: {error.strerror}. It stays untouched.") from None
        except (ValueError, RecursionError):
            raise StateError(f"{name} is damaged. It stays untouched.", hint=MOVE_HINT) from None
        version = data.get("version") if isinstance(data, dict) and data.get("format") == FORMAT else None
        if version != VERSION or not all(isinstance(data.get(part, {}), dict) for part in ("turns", "panels")):
            raise StateError(f"{name} is of another orchat, or damaged. It stays untouched.", hint=MOVE_HINT)
        return {
            (part, str(key)): value
            for part, values in data.items()
            if isinstance(values, dict)
            for key, value in values.items()
        }
