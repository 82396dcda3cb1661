"""Send the update of a display without waiting for what is printed.

ipykernel's publisher first hands what was printed to the thread of output, and waits for it: more than half of what an
update costs (7.4). An update changes a display where it stands, whatever is printed before or after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def update_display(
    shell: InteractiveShell, data: dict[str, Any], metadata: dict[str, Any], transient: dict[str, Any]
) -> None:
    """Update a display: at once where the kernel's own publisher would, else by the publisher that there is.

    Parameters
    ----------
    shell
        The running IPython.
    data, metadata, transient
        As for IPython's ``display_pub.publish``.
    """
    publisher, kernel = shell.display_pub, getattr(shell, "kernel", None)
    is_plain = type(publisher).__module__ == "ipykernel.zmqshell" and "publish" not in vars(publisher)
    if kernel is None or not is_plain or getattr(publisher, "_hooks", None):  # others may want to see it
        publisher.publish(data=data, metadata=metadata, transient=transient, update=True)
        return
    content = {"data": data, "metadata": metadata, "transient": transient}
    kernel.send_response(kernel.iopub_socket, "update_display_data", content, ident=getattr(publisher, "topic", None))
