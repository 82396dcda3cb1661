"""The panel's MIME bundle as an output of its cell: the widget, and the transcript for reading without a kernel."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.coroutine_runner import in_kernel
from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
from orchat.jupyter.kernel.output.mime_types import PANEL_MIME_TYPE

if TYPE_CHECKING:
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.jupyter.panel.panel_view_model import PanelViewModel

_EMPTY = "An empty chat."


class PanelOutput:
    """Publish and update the panel's output in its cell.

    Parameters
    ----------
    shell
        The running IPython.
    """

    # Updates go where the first output went: a cell that runs meanwhile may capture what is displayed.

    def __init__(self, shell: InteractiveShell | None) -> None:
        self._shell = shell
        self._display_id = f"orchat-{uuid.uuid4().hex}"
        self._publisher: DisplayPublisher | None = None  # of the output that is shown
        self._published: dict[str, Any] | None = None  # what the output holds

    def show(self, bundle: dict[str, Any]) -> None:
        """Publish the bundle as an output of the running cell."""
        if self._shell is None:
            print(bundle["text/plain"])  # noqa: T201 - there is nothing else to show it with
            return
        self._publisher = self._shell.display_pub
        self._publish(bundle, update=False)

    def refresh(self, bundle: dict[str, Any], channel: WidgetChannel | None, view_model: PanelViewModel) -> None:
        """Update the transcript that is saved with the output.

        A page with a view gets the transcript and saves it, or asks for an update when that disturbs nobody: most
        front ends redraw the widget then, close its sheets and take the focus away.
        """
        if channel is not None and channel.has_page:
            view_model.set(saved={kind: bundle[kind] for kind in ("text/markdown", "text/plain")})
        else:
            self.update(bundle)

    def update(self, bundle: dict[str, Any]) -> None:
        """Update the output, unless that changes nothing."""
        if self._publisher is None or self._shell is None or not in_kernel(self._shell):
            return
        if bundle != self._published:
            self._publish(bundle, update=True)

    def _publish(self, bundle: dict[str, Any], *, update: bool) -> None:
        assert self._publisher is not None
        self._published = bundle
        self._publisher.publish(data=bundle, metadata={}, transient={"display_id": self._display_id}, update=update)


def transcript_bundle(transcript: tuple[str, str], channel: WidgetChannel | None) -> dict[str, Any]:
    """Return the MIME bundle of a panel: the widget where there is one, and the transcript.

    Examples
    --------
    >>> transcript_bundle(("", ""), None)
    {'text/markdown': '*An empty chat.*', 'text/plain': 'An empty chat.'}
    """
    markdown, plain = transcript
    widget = channel.bundle(PANEL_MIME_TYPE) if channel is not None else {}
    return {**widget, "text/markdown": markdown or f"*{_EMPTY}*", "text/plain": plain or _EMPTY}
