"""A page that shows a panel, played by hand: it runs the cell as JupyterLab does, and has a view and the extension."""

from __future__ import annotations

import queue
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from orchat.jupyter.kernel.live_view.view_reducer import reduce_events
from tests.jupyter.kernel import SOON, Kernel
from tests.jupyter.test_metadata_bridge import WrittenValues
from tests.patience import PATIENCE

PANEL = "from orchat.jupyter.panel.chat_panel import ChatPanel\n"


class Page:
    """One cell in one page.

    Parameters
    ----------
    kernel
        Where the cell runs.
    cell_id
        The cell's name.
    metadata
        What the notebook keeps in the cell of ours.
    extended
        Whether the page has the extension.
    """

    def __init__(
        self, kernel: Kernel, cell_id: str, metadata: Mapping[str, Any] | None = None, *, extended: bool = True
    ) -> None:
        self._kernel = kernel
        self._client = kernel._client
        self._ask = kernel._ask
        self._cell_id = cell_id
        self._extended = extended
        self._view = ""
        self._bridge = ""
        self._run = ""
        self._channel = ""
        self._subshell: str | None = None
        self._features: list[str] | None = None
        self._clicks, self._is_heard = "", False
        self._number = -1
        self.metadata = metadata
        self.conflicts: Mapping[str, Any] = {}  # that a merge has left in the cell
        self.written: list[Mapping[str, Any]] = []
        self._values = WrittenValues()
        self.state: dict[str, Any] = {}
        self.displayed: list[dict[str, Any]] = []
        self.displayed_for: list[str] = []  # the requests that they answer
        self.outputs: list[dict[str, Any]] = []  # those that are no updates
        self.printed = ""
        self.inserted: list[str] = []
        self.lacks_outputs = False  # as a page that was loaded while the cell ran
        self.offered: list[dict[str, Any]] = []  # the outputs that were sent because it lacks them

    @property
    def fields(self) -> dict[str, Any]:
        self.until(lambda: bool(self.state))
        return dict(self.state["fields"])

    @property
    def turns(self) -> list[dict[str, Any]]:
        return list(self.state.get("turns", []))

    def answers(self) -> list[str]:
        """What each turn shows of its answer."""
        return ["".join(_words(item) for item in turn["s"]["items"]) for turn in self.turns]

    def run(self, code: str, *, shows: bool = True) -> None:
        """Run the cell, and open a view of its panel, and once more after a restart where the kernel is deaf."""
        self._execute(code)
        if shows and not self._is_shown(4 * SOON):
            if self._kernel.is_deaf():
                self._kernel.restart("%load_ext orchat")
                self._execute(code)
            assert self._is_shown(PATIENCE), self.printed

    def _execute(self, code: str) -> None:
        self._view, self._number, self.state = "", -1, {}
        about: dict[str, Any] = {"cellId": self._cell_id}
        if self.conflicts:
            about["nbdime-conflicts"] = self.conflicts
        if self.metadata is not None:
            about["orchat"] = self.metadata
        request = self._run = self._ask(code, about)
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE)
            self._take(message)
            if (
                message["parent_header"].get("msg_id") == request
                and message["msg_type"] == "status"
                and message["content"]["execution_state"] == "idle"
            ):
                break
        while (reply := self._client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != request:
            pass
        assert reply["content"]["status"] == "ok", reply["content"]

    def _is_shown(self, seconds: float) -> bool:
        """Request the state, as a page does: again and again, for ipykernel 7.1 to 7.3 may leave a message unread."""
        deadline = time.monotonic() + seconds
        while not self.state and time.monotonic() < deadline:
            self.send({"t": "ready", "render": "markdown"})
            asked = time.monotonic()
            while not self.state and time.monotonic() < asked + 1:
                self.listen(0.1)
        return bool(self.state)

    def send(self, content: Mapping[str, Any]) -> None:
        """Send what a view sends: in the subshell, where one was opened."""
        if self._subshell is not None:
            self._comm("comm_msg", self._clicks, {"channel": self._channel, "content": dict(content)}, self._subshell)
        else:
            self._comm("comm_msg", self._view, {"method": "custom", "content": dict(content)})

    def open_clicks(self) -> bool:
        """Open the comm of clicks in a subshell, and return whether it is heard; False where there are no subshells."""
        if not self.has_subshells():
            return False
        request = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(request)
        while (reply := self._client.get_control_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != request["msg_id"]:
            pass
        subshell, comm_id = reply["content"]["subshell_id"], uuid.uuid4().hex
        self._clicks, self._is_heard = comm_id, False
        self._comm("comm_open", comm_id, {}, subshell, target_name="orchat.clicks")
        self.until(lambda: self._is_heard)
        self._subshell = subshell
        return True

    def has_subshells(self) -> bool:
        """Whether the kernel has subshells, which a page knows from its start."""
        if self._features is None:
            information = self._client.kernel_info(reply=True, timeout=PATIENCE)["content"]
            self._features = information.get("supported_features", [])
        return "kernel subshells" in self._features

    @property
    def request(self) -> str:
        """The request that ran the cell last."""
        return self._run

    def begin(self, code: str, *, in_page: bool = False) -> str:
        """Begin another cell, or ``in_page`` this page's, without waiting for it."""
        if not in_page:
            return self._ask(code, None)
        self._run = self._ask(code, {"cellId": self._cell_id})
        return self._run

    def open_view(self, *, clicks: bool = True) -> None:
        """Open the view of the widget that a cell shows; with ``clicks`` also while it blocks the kernel."""
        self._view, self.state = "", {}
        self.until(lambda: bool(self._view))
        assert not clicks or self.open_clicks()
        self.send({"t": "ready", "render": "markdown"})
        self.until(lambda: bool(self.state))

    def wait(self, request: str) -> float:
        """Wait for the end of a cell that was begun, and return when it was."""
        while (reply := self._client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != request:
            pass
        assert reply["content"]["status"] == "ok", reply["content"]
        return float(reply["header"]["date"].timestamp())

    def decide(self, turn: int, item: int, decision: Mapping[str, Any]) -> None:
        """Decide in the form that is shown, when it is unlocked."""

        def form() -> Mapping[str, Any]:
            (items,) = [each["s"]["items"] for each in self.turns if each["k"] == turn]
            return dict(items[item]["form"])

        self.until(lambda: "revision" in form())
        revision = form()["revision"]
        self.send({"t": "decide", "k": turn, "i": item, "revision": revision, **decision})

    def clear(self) -> None:
        """Clear the cell's outputs, and tell the kernel as the extension does."""
        self.metadata = None
        data = {"op": "cleared", "cell_id": self._cell_id, "run": self._run, "protocol": 1, "page": "by hand"}
        self._comm("comm_msg", self._bridge, data)

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Take what the kernel sends until something is so, be it between two messages only."""
        deadline = time.monotonic() + seconds
        while not condition() and not self.listen(0.1, condition):
            assert time.monotonic() < deadline, self.state

    def idle(self) -> None:
        """Wait until no turn goes on."""
        self.until(lambda: bool(self.state) and self.state["fields"]["running"] is False)

    def ask(self, words: str) -> None:
        """Ask, and wait for the end of the answer."""
        count = len(self.turns)
        self.send({"t": "send", "text": words})
        self.until(lambda: len(self.turns) > count)
        self.idle()

    def act(self, content: Mapping[str, Any], answers: list[str]) -> None:
        """Do what a view does, and wait until the turns' answers are these, and no turn goes on."""
        self.send(content)
        self.until(lambda: self.answers() == answers and self.state["fields"]["running"] is False)

    def kept(self, words: str) -> dict[str, Any]:
        """Wait until the cell keeps some words, and return the panels that it keeps."""
        self.until(lambda: words in repr(self.metadata))
        assert self.metadata is not None
        return dict(self.metadata["panels"])

    def listen(self, seconds: float, condition: Callable[[], bool] = lambda: False) -> bool:
        """Take what the kernel sends within some seconds; return whether something was so behind any of it."""
        deadline, was_so = time.monotonic() + seconds, False
        with suppress(queue.Empty):
            while (left := deadline - time.monotonic()) > 0:
                self._take(self._client.get_iopub_msg(timeout=left))
                was_so = was_so or condition()
        return was_so

    def _comm(self, kind: str, comm_id: str, data: Mapping[str, Any], subshell: str | None = None, **more: str) -> None:
        message = self._client.session.msg(kind, {"comm_id": comm_id, "data": dict(data), **more})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind in ("display_data", "update_display_data"):
            self.displayed.append(content["data"])
            self.displayed_for.append(message["parent_header"]["msg_id"])
            if kind == "display_data":
                self.outputs.append(content["data"])
        elif kind == "stream":
            self.printed += content["text"]
        elif kind == "comm_open":
            if content["target_name"] == "orchat.meta":
                self._extension(content["comm_id"], content["data"])
            elif "_esm" in content["data"].get("state", {}):
                self._view, self._channel = content["comm_id"], content["data"]["state"]["_clicks"]
        elif kind == "comm_msg":
            data = content["data"]
            if "op" in data:
                self._extension(content["comm_id"], data)
            elif content["comm_id"] == self._clicks:
                self._is_heard = True
            elif content["comm_id"] == self._view and data.get("method") == "custom":
                self._show(data["content"])

    def _extension(self, comm_id: str, data: Mapping[str, Any]) -> None:
        self._bridge = comm_id
        if not self._extended:
            self._comm("comm_close", comm_id, {})
            return
        answer = {"id": data["id"], "op": data["op"], "cell_id": data.get("cell_id"), "ok": True, "protocol": 1}
        if data["op"] == "hello":
            answer["path"] = "notebook.ipynb"
        elif data["op"] in ("set", "patch") and data["cell_id"] == self._cell_id:
            if self._values.take(data):
                self.metadata = self._values.last
                self.written.append(self.metadata or {})
            else:
                answer |= {"ok": False, "reason": "base"}
        elif data["op"] == "set_output":
            answer |= {"run": data["run"], "display_id": data["display_id"]}
            answer["lacks"] = self.lacks_outputs and "bundle" not in data
            self.offered += [data["bundle"]] if "bundle" in data else []
        elif data["op"] == "insert_cell":
            self.inserted.append(data["source"])
        self._comm("comm_msg", comm_id, answer)

    def _show(self, content: Mapping[str, Any]) -> None:
        if content["t"] == "full":
            self.state, self._number = content["state"], content["n"]
        elif content["t"] == "events" and self.state:
            if content["n"] != self._number + 1:  # a cell of the test took some: as a page does, ask for everything
                self.state = {}
                self.send({"t": "ready", "render": "markdown"})
                return
            self._number = content["n"]
            if "turns" not in self.state:  # of one turn, in a cell
                self.state = reduce_events(self.state, content["list"])
                return
            for event in content["list"]:
                self._reduce(event)

    def _reduce(self, event: Mapping[str, Any]) -> None:
        state = self.state
        match event["e"]:
            case "panel":
                state["fields"] = {**state["fields"], **event["set"]}
            case "all":
                state["first"], state["turns"] = event["first"], event["turns"]
            case "older":
                state["first"], state["turns"] = event["first"], [*event["turns"], *state["turns"]]
            case "begin":
                state["turns"] = [*state["turns"], event["turn"]]
            case "drop":
                state["turns"] = [turn for turn in state["turns"] if turn["k"] != event["k"]]
            case "turn":
                for turn in state["turns"]:
                    if turn["k"] == event["k"]:
                        turn.update(event["set"])
            case "in":
                for turn in state["turns"]:
                    if turn["k"] == event["k"]:
                        turn["s"] = reduce_events(turn["s"], event["list"])


def _words(item: Mapping[str, Any]) -> str:
    if item["kind"] == "text":
        return "".join(block["md"] for block in item["blocks"]) + str(item["tail"])
    if item["kind"] == "call":
        return f"[{item['name']}: {item['status']}]"
    return str(item.get("text", ""))
