"""Fork a process only while no other thread is within SQLite, whose own locks the child would never get."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """An object with locks that are free in a forked process."""

    def before_fork(self) -> None:
        """Take the locks."""

    def after_fork_in_parent(self) -> None:
        """Release them."""

    def after_fork_in_child(self) -> None:
        """Begin anew: threads are gone, and connections belong to the parent."""


_guarded: WeakSet[Forkable] = WeakSet()


def guard_forks(each: Forkable) -> None:
    """Tell an object of forks for as long as it lives."""
    _guarded.add(each)


def _before() -> None:
    for each in list(_guarded):
        each.before_fork()


def _in_parent() -> None:
    for each in list(_guarded):
        each.after_fork_in_parent()


def _in_child() -> None:
    for each in list(_guarded):
        each.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
