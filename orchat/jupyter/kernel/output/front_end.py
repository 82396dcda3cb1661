"""What the front end of the running cell can do with an output, as far as its execute request tells.

Pages send metadata with the request, such as the cell's identifier: JupyterLab, Notebook 7, VS Code, Colab; or their
library writes version 5.2 of the protocol: nbclassic, and what stands on @jupyterlab/services. They carry out updates
of a display, and show widgets. Consoles (jupyter console 6.6, qtconsole 5.7) ignore updates and print what is
written. All others execute only. Of these nbclient, on which papermill, nbmake and nbconvert stand, carries out
updates; executors in a Jupyter server, which names the notebook to its kernels, ignore them (jupyter-server-nbmodel
0.2.9) or add each as an output of its own (jupyter-server-documents 0.3), and so do clients of ipyparallel's engines
(9.2). The request does not tell them apart, and nobody looks on: there an answer is displayed once, when it is whole.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from orchat.jupyter.kernel.coroutine_runner import is_parallel_engine

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_VERSION_OF_PAGES = "5.2"  # of the protocol (@jupyterlab/services 7.6, nbclassic 1.3); jupyter_client 5.2 sends 5.3

OutputAbility: TypeAlias = Literal["updates", "text", "displays"]
"""``updates`` of what is displayed; ``text`` that is printed as it arrives, in a console; only whole ``displays``."""


def output_ability(shell: InteractiveShell) -> OutputAbility:
    """Return what the front end of a kernel's running cell can do.

    Parameters
    ----------
    shell
        The running IPython, in a kernel. One whose kernel does not tell the request is taken to be a page's.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> def front_end(metadata, allow_stdin):
    ...     request = {"header": {}, "metadata": metadata, "content": {"allow_stdin": allow_stdin}}
    ...     return SimpleNamespace(get_parent=lambda: request)
    >>> [output_ability(front_end(*request)) for request in (({"cellId": "a1"}, True), ({}, True), ({}, False))]
    ['updates', 'text', 'displays']
    """
    if is_parallel_engine(shell):
        return "displays"
    if not (parent := request_of(shell)) or has_page(parent):
        return "updates"
    has_person = "JPY_SESSION_NAME" not in os.environ and _mapping(parent, "content").get("allow_stdin") is True
    return "text" if has_person else "displays"


def request_of(shell: InteractiveShell) -> dict[str, Any]:
    """Return the message that the kernel handles; empty where it does not tell."""
    return (shell.get_parent() if hasattr(shell, "get_parent") else None) or {}


def has_page(parent: dict[str, Any]) -> bool:
    """Return whether a message comes from a page that shows widgets.

    Where the message of a widget is handled, such as a button's, there is one.
    """
    header = _mapping(parent, "header")
    is_of_page = header.get("msg_type") == "comm_msg" or header.get("version") == _VERSION_OF_PAGES
    # Colab loads its own package into each kernel.
    return bool(parent.get("metadata")) or is_of_page or is_voila() or "google.colab" in sys.modules


def is_voila() -> bool:
    """Return whether voila runs the kernel: it executes cells without their metadata, and shows all widgets.

    Its environment variable is that of CGI (voila 0.5.13).
    """
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


def _mapping(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}
