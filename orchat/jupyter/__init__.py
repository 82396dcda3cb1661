"""The notebook: the ``%%openrouter`` magic, the panel, the tools for the notebook. The only rooms that import IPython.

``%load_ext orchat`` arrives at `load_ipython_extension`. Loading prints nothing and touches no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.tools import Tool

__all__ = ["load_ipython_extension", "notebook_tools", "unload_ipython_extension"]


def notebook_tools(name: str = "notebook") -> list[Tool]:
    """Return tools for the running notebook, for ``Chat(tools=...)``; each change needs a decision of a person.

    Parameters
    ----------
    name
        ``notebook``: list, read, insert, edit, delete and run cells. ``analyst``: those, `run_python` and
        `inspect_variable`.

    Raises
    ------
    ConfigurationError
        No IPython runs here, or there is no such set (a ValueError).

    Examples
    --------
    >>> notebook_tools("everything")
    Traceback (most recent call last):
        ...
    orchat.errors.ConfigurationError: There is no set of tools 'everything'. It is "notebook" or "analyst".
    """
    from orchat.jupyter.kernel.notebook_tools import tool_set

    return tool_set(name)


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
