"""The notebook: the ``%%openrouter`` magic. The only rooms that import IPython.

``%load_ext orchat`` arrives at `load_ipython_extension`. Loading prints nothing and touches no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magic; what ``%load_ext orchat`` calls.

    Parameters
    ----------
    shell
        The running IPython.
    """
    from orchat.jupyter.magic import magics

    magics.register_magics(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magic away again, without a trace; what ``%unload_ext orchat`` calls.

    Parameters
    ----------
    shell
        The running IPython.
    """
    from orchat.jupyter.magic import magics

    magics.unregister_magics(shell)
