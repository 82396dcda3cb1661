"""The namespace of a prompt's placeholders: the user's variables, ``In``, ``Out`` and ``Err``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchat.secrets import redact

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PUBLIC_NAMES = frozenset({"In", "Out", "_", "__", "___"})  # IPython's own names that people use


class PromptNamespace(Mapping[str, object]):
    """The user's variables, without the names that IPython adds.

    Parameters
    ----------
    shell
        The running IPython.
    local
        The local variables of the function that calls a line magic.
    """

    def __init__(self, shell: InteractiveShell, local: Mapping[str, Any] | None = None) -> None:
        self._shell = shell
        self._spaces: tuple[Mapping[str, Any], ...] = (local or {}, shell.user_ns, {"Err": ErrorHistory(shell)})

    def __getitem__(self, name: str) -> object:
        for space in self._spaces:
            if name in space and not self._is_hidden(name, space[name]):
                return space[name]
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in space and not self._is_hidden(str(name), space.get(str(name))) for space in self._spaces)

    def __iter__(self) -> Iterator[str]:
        # Copied at once: a cell in another thread may add variables meanwhile.
        return iter({name: None for space in self._spaces for name in list(space) if name in self})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _is_hidden(self, name: str, value: object) -> bool:
        hidden = self._shell.user_ns_hidden
        return name not in _PUBLIC_NAMES and name in hidden and hidden[name] is value


class ErrorHistory(Mapping[int, str]):
    """The tracebacks of failed cells by execution count, as text without colours and keys.

    Parameters
    ----------
    shell
        The running IPython.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    @property
    def _exceptions(self) -> Mapping[int, Any]:
        # IPython stores them for its history since 9.0; a panel asks for those that come after it.
        return getattr(self._shell.history_manager, "exceptions", None) or {}

    def __getitem__(self, number: int) -> str:
        return redact(_ANSI.sub("", "\n".join(self._exceptions[number]["traceback"])))

    def __iter__(self) -> Iterator[int]:
        return iter(self._exceptions)

    def __len__(self) -> int:
        return len(self._exceptions)
