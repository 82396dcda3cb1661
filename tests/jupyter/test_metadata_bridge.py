"""The kernel's end of the bridge, on real kernels of several versions; the page's end is spoken by the test."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from orchat._version import __version__
from orchat.jupyter.kernel.cell_storage.executing_cell import METADATA_KEY
from orchat.jupyter.kernel.cell_storage.frontend_comm import PROTOCOL, TARGET
from orchat.jupyter.kernel.cell_storage.write_queue import WriteQueue
from orchat.jupyter.kernel.output.mime_types import MIME_TYPE
from tests.jupyter.kernel import INSTALLED, OTHERS, ROOT, Kernel, sent_at
from tests.patience import PATIENCE, stretched

EXTENSION = ROOT / "orchat" / "jupyter" / "frontend" / "extension"

SETUP = """\
import asyncio, time
from orchat.jupyter.kernel.cell_storage.metadata_bridge import MetadataBridge
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.coroutine_runner import deliver_comms_while_awaiting, wake_loop_on_interrupt
bridge = MetadataBridge(get_ipython())
def here():
    return current_cell(get_ipython())
"""
VALUE = {"format": "orchat", "version": 1, "words": "The tide is high."}


class WrittenValues:
    """What a page was sent: whole values, and patches of the value that a message has brought."""

    def __init__(self) -> None:
        self.last: Any = None
        self._messages: dict[str, Any] = {}

    def take(self, request: Mapping[str, Any]) -> bool:
        """Read the value of a message; return whether it is known what it is a patch of."""
        if request["op"] == "patch" and request["base"] not in self._messages:
            return False
        is_whole = request["op"] == "set"
        self.last = request["value"] if is_whole else patched(self._messages[request["base"]], request["patch"])
        self._messages[request["id"]] = self.last
        return True

    def forget(self) -> None:
        """Forget all, as a page that is loaded anew."""
        self._messages.clear()


def patched(old: Any, patch: Mapping[str, Any]) -> Any:
    """Return what a patch makes of a value."""
    if "is" in patch:
        return patch["is"]
    if isinstance(old, list):
        return old[patch["from"] : patch["to"]] + patch["then"]
    kept = {name: value for name, value in old.items() if name not in patch["without"]}
    return kept | {name: patched(old.get(name), each) for name, each in patch["within"].items()}


class Page:
    """A front end's page: runs cells with their metadata, and answers on the comm as the extension does."""

    def __init__(self, kernel: Kernel, version: str = INSTALLED) -> None:
        self.kernel, self._client = kernel, kernel._client
        self._version = version
        self.extended = True
        self.protocol = PROTOCOL
        self.deaf = False
        self.name = "page-1"
        self.cells: dict[str, Any] = {"a1": None, "b2": None}
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.openings = 0
        self.lacks = False
        self.values = WrittenValues()
        self._known: set[str] = set()
        self._subshell: str | None = None

    def send(self, kind: str, content: dict[str, Any]) -> None:
        """Send as JupyterLab does, in a subshell where the kernel has such."""
        session = self._client.session
        if self._subshell is None and not self._version.startswith("6."):
            self._client.control_channel.send(session.msg("create_subshell_request", {}))
            self._subshell = self._client.get_control_msg(timeout=PATIENCE)["content"]["subshell_id"]
        message = session.msg(kind, content)
        if self._subshell is not None:
            message["header"]["subshell_id"] = self._subshell
        self._client.shell_channel.send(message)

    def run(
        self,
        code: str,
        cell: str | None = "a1",
        *,
        after: float = 0.0,
        then: Callable[[], bool] | None = None,
        until: Callable[[], bool] | None = None,
    ) -> str:
        """Run a cell to its end and return what it printed.

        It is listened to some seconds longer (``after``), so that what must not happen could, and until something has
        happened behind its end (``then``), or has happened at all (``until``).
        """
        session = self._client.session
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        metadata = {} if cell is None else {"cellId": cell}
        if cell is not None and self.cells.get(cell) is not None:
            metadata["orchat"] = self.cells[cell]
        message = session.msg("execute_request", {**content, "user_expressions": {}})
        message["metadata"] = metadata
        self._client.shell_channel.send(message)
        printed, failed, ended, deadline = "", "", None, time.monotonic() + PATIENCE
        while ended is None or time.monotonic() < ended + after or (then is not None and not then()):
            assert time.monotonic() < deadline, (printed, failed, self.requests)
            if until is not None and until():
                return printed
            try:
                heard = self._client.get_iopub_msg(timeout=0.05)
            except Exception:
                continue
            kind = heard["msg_type"]
            if kind in ("comm_open", "comm_msg"):
                self._take(kind, heard["content"], sent_at(heard))
            elif heard["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            elif kind in ("display_data", "update_display_data"):
                self._show(cell, kind, heard["content"])
            elif kind == "stream":
                printed += heard["content"]["text"]
            elif kind == "error":
                failed = "\n".join(heard["content"]["traceback"])
            elif kind == "status" and heard["content"]["execution_state"] == "idle":
                ended = time.monotonic()
        while (
            self._client.get_shell_msg(timeout=PATIENCE)["parent_header"].get("msg_id") != message["header"]["msg_id"]
        ):
            pass
        if failed:
            raise AssertionError(failed)
        return printed

    def _show(self, cell: str | None, kind: str, content: dict[str, Any]) -> None:
        """Nothing is shown."""

    def _take(self, kind: str, content: dict[str, Any], sent: float) -> None:
        if kind == "comm_open":
            if content["target_name"] != TARGET:
                return
            self.openings += 1
            if not self.extended:
                self.send("comm_close", {"comm_id": content["comm_id"], "data": {}})
                return
            self._known.add(content["comm_id"])
        if content["comm_id"] not in self._known or self.deaf:
            return
        request = content["data"]
        self.requests.append(request)
        self.times.append(sent)
        told = {name: request.get(name) for name in ("id", "op", "cell_id", "run", "display_id")}
        told |= {"version": "9.9", "page": self.name}
        answer = {**told, "protocol": self.protocol, **self._answer(request)}
        self.send("comm_msg", {"comm_id": content["comm_id"], "data": answer})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        cell = request.get("cell_id")
        match request["op"]:
            case "hello":
                return {"ok": True, "path": "tide.ipynb"}
            case "set" | "patch" if cell in self.cells:
                if not self.values.take(request):
                    return {"ok": False, "reason": "base"}
                self.cells[cell] = self.values.last
                return {"ok": True}
            case "get" if cell in self.cells:
                return {"ok": True, "value": self.cells[cell]}
            case "set_output":
                return {"ok": True, "lacks": self.lacks and "bundle" not in request}
            case _:
                return {"ok": False, "reason": "no such cell"}

    def ops(self) -> list[str]:
        return [request["op"] for request in self.requests]


@pytest.fixture(scope="module", params=[INSTALLED, *OTHERS])
def _any(request: pytest.FixtureRequest) -> Iterator[tuple[Kernel, str]]:
    with Kernel({}, request.param) as kernel:
        yield kernel, request.param


@pytest.fixture(scope="module")
def _usual() -> Iterator[Kernel]:
    with Kernel({}) as kernel:
        yield kernel


@pytest.fixture
def page(_any: tuple[Kernel, str]) -> Page:
    """A page on a kernel of each version, with a new bridge."""
    page = Page(*_any)
    assert page.run(SETUP) == ""
    return page


@pytest.fixture
def usual_page(_usual: Kernel) -> Iterator[Page]:
    """A page on a kernel of the installed version, with a new bridge, which tells later pages nothing."""
    page = Page(_usual)
    assert page.run(SETUP) == ""
    yield page
    page.run("bridge.close()")


AWAITED = """\
async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
    {}
"""


def test_a_value_written_in_a_running_cell_is_there_before_the_cell_ends(page: Page, tmp_path: Path) -> None:
    there = tmp_path / "there"
    code = f"bridge.write(here().id, {VALUE})\n    while not __import__('os').path.exists({str(there)!r}):\n"
    code += "        await asyncio.sleep(0.01)\n    print(bridge.status, bridge.path)"

    def seen() -> bool:
        if page.cells["a1"] == VALUE:
            there.touch()
        return False

    assert page.run(AWAITED.format(code), until=seen) == "open tide.ipynb\n"
    assert page.openings == 1
    assert page.run("print(here().metadata == " + repr(VALUE) + ")") == "True\n"


def test_nothing_is_opened_until_something_is_written(usual_page: Page) -> None:
    usual_page.run("bridge.status, bridge.hint(), bridge.flush(), bridge.close()", after=0.3)
    assert usual_page.openings == 0
    usual_page.run("%load_ext orchat", after=0.3)
    assert usual_page.openings == 0


def test_all_share_one_bridge(usual_page: Page) -> None:
    code = "from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge as of; shell = get_ipython()"
    code += "\nprint(of(shell) is of(shell))"
    assert usual_page.run(code) == "True\n"


def test_a_cell_that_blocks_writes_when_it_has_ended(page: Page) -> None:
    assert (
        page.run(f"bridge.write(here().id, {VALUE}); time.sleep(0.3); print(1)", then=lambda: page.cells["a1"] == VALUE)
        == "1\n"
    )
    assert page.run("print(bridge.status)") == "open\n"


def test_hello_waits_no_longer_than_it_was_told_and_may_be_asked_again(page: Page) -> None:
    page.deaf = True
    limit = stretched(0.9)
    code = f"began = time.monotonic(); print(await bridge.hello(0.5), time.monotonic() - began < {limit})"
    assert page.run(code) == "unknown True\n"
    page.deaf = False
    assert page.run(AWAITED.format("print(await bridge.hello(60))")) == "open\n"


def test_without_the_extension_writes_are_dropped_and_it_is_said_once(page: Page) -> None:
    page.extended = False
    page.run(AWAITED.format("await bridge.hello(60)"))
    code = f"""print(bridge.status)
for number in range(5):
    bridge.write(here().id, {VALUE})
bridge.set_output(here(), {{"text/plain": "x"}}); bridge.insert_cell(here().id, "1 + 1")
print("no orchat extension" in bridge.hint(), bridge.hint(), await bridge.cells(1), await bridge.get("a1", 1))"""
    assert page.run(code, after=0.5) == "absent\nTrue None None None\n"
    assert page.openings == 1
    assert page.requests == []


def test_an_extension_that_came_later_is_found(usual_page: Page) -> None:
    usual_page.extended = False
    assert usual_page.run("print(await bridge.hello(60))") == "absent\n"
    usual_page.extended = True
    code = f"print(await bridge.hello(60)); bridge.write(here().id, {VALUE})"
    assert usual_page.run(code, then=lambda: usual_page.cells["a1"] == VALUE) == "open\n"


def test_a_page_that_was_not_all_there_yet_is_asked_once_more(usual_page: Page) -> None:
    usual_page.extended = False
    assert usual_page.run(f"bridge.write(here().id, {VALUE})", after=0.5) == ""
    usual_page.extended = True
    assert usual_page.run("print(bridge.status)", then=lambda: usual_page.cells["a1"] == VALUE) == "absent\n"
    assert usual_page.run("print(bridge.status)") == "open\n"


def test_a_page_that_speaks_otherwise_is_written_nothing(usual_page: Page) -> None:
    usual_page.protocol = PROTOCOL + 1
    code = f"print(await bridge.hello(60)); bridge.write(here().id, {VALUE}); bridge.flush()\nprint(bridge.hint())"
    printed = usual_page.run(code, after=0.5)
    assert printed.startswith("mismatch\nThe page's orchat extension (9.9) and this kernel's orchat (")
    assert usual_page.ops() == ["hello"]
    assert usual_page.cells["a1"] is None


def test_writes_come_at_most_every_two_seconds_and_the_newest_one_counts(usual_page: Page) -> None:
    code = """bridge.write(here().id, {"version": 1, "n": -1})
number, end = 0, time.monotonic() + 4.5
while time.monotonic() < end:
    bridge.write(here().id, lambda number=number: {"version": 1, "n": number})
    number += 1
    await asyncio.sleep(0.05)
bridge.write(here().id, {"version": 1, "n": "last"}); bridge.flush()"""
    usual_page.run(code, then=lambda: usual_page.cells["a1"] == {"version": 1, "n": "last"})
    numbers = [request["value"]["n"] for request in usual_page.requests if request["op"] == "set"]
    times = [time for time, op in zip(usual_page.times, usual_page.ops(), strict=True) if op == "set"]
    assert 3 <= len(numbers) <= (times[-1] - times[0]) / 2 + 2
    assert numbers[-1] == "last"
    assert all(later - earlier > 1.9 for earlier, later in pairwise(times[:-1]))


def test_of_a_long_value_only_what_is_new_is_sent_and_all_to_a_page_that_was_loaded_anew(usual_page: Page) -> None:
    def write(count: int, then: str = "") -> dict[str, Any]:
        said = [f"How high is the tide on day {n}?" for n in range(count)]
        value = {"version": 1, "panels": {"1": {"messages": said}}}
        code = f"value = {value}\nbridge.write(here().id, value); bridge.flush(); {then}"
        usual_page.run(code, then=lambda: usual_page.cells["a1"] == value)
        return usual_page.requests[-1]

    assert usual_page.run("print(await bridge.hello(60))") == "open\n"
    assert write(200)["op"] == "set"
    grown = write(202)
    assert grown["op"] == "patch"
    assert len(json.dumps(grown)) < 500
    usual_page.values.forget()
    assert write(203)["op"] == "set"
    assert usual_page.ops()[-3:] == ["patch", "patch", "set"]
    assert write(204)["op"] == "patch"
    # What is closed just after a page was loaded, as by %unload_ext.
    usual_page._known.clear()
    usual_page.values.forget()
    assert write(205, "bridge.close()")["op"] == "set"
    assert usual_page.run("print(await bridge.hello(60))") == "open\n"
    assert write(2)["op"] == "set"  # which is short


def test_a_page_that_was_loaded_meanwhile_hears_what_is_written(usual_page: Page) -> None:
    code = "print(await bridge.hello(60))"
    assert usual_page.run(code) == "open\n"
    usual_page._known.clear()  # as a reloaded page, which knows no comm
    usual_page.run(f"bridge.write(here().id, {VALUE}); bridge.flush()", then=lambda: usual_page.cells["a1"] == VALUE)


def test_an_output_is_sent_only_to_a_page_that_lacks_it(usual_page: Page) -> None:
    code = "await bridge.hello(60); bridge.set_output(here(), {'text/plain': 'x' * 5000}, display_id='d-1')"
    usual_page.run(code, after=0.4, then=lambda: "set_output" in usual_page.ops())
    (asked,) = [request for request in usual_page.requests if request["op"] == "set_output"]
    assert "bundle" not in asked
    assert (asked["cell_id"], asked["display_id"]) == ("a1", "d-1")
    usual_page.lacks = True
    usual_page.run(code, after=0.4, then=lambda: usual_page.ops().count("set_output") == 3)
    again = [request for request in usual_page.requests if request["op"] == "set_output"][1:]
    assert [request.get("bundle") for request in again] == [None, {"text/plain": "x" * 5000}]
    # Another page that was loaded meanwhile answers behind that.
    names = ("id", "op", "cell_id", "run", "display_id")
    answer = {name: asked[name] for name in names} | {"ok": True, "lacks": True, "page": "page-2", "protocol": PROTOCOL}
    usual_page.send("comm_msg", {"comm_id": min(usual_page._known), "data": answer})

    def bundles() -> int:
        """How many there are of the first run; one may be sent again."""
        return len({each["id"] for each in usual_page.requests if "bundle" in each and each["run"] == asked["run"]})

    usual_page.run("", then=lambda: bundles() == 1)
    # In a document that pages share it comes by itself: written by two at once it would stand there twice.
    shared = answer | {"page": "page-3", "shared": True}
    usual_page.send("comm_msg", {"comm_id": min(usual_page._known), "data": shared})
    usual_page.run("await asyncio.sleep(1.5)")
    assert bundles() == 1


def test_of_many_outputs_of_a_cell_that_blocks_the_last_ones_are_offered_again(usual_page: Page) -> None:
    code = """for number in range(100):
    bridge.set_output(here(), {"text/plain": str(number)}, display_id=f"d-{number}")
print(len(bridge._messenger.unanswered))"""
    assert usual_page.run("print(await bridge.hello(60))") == "open\n"
    assert int(usual_page.run(code)) <= 9


def test_a_page_that_is_opened_much_later_gets_what_all_others_missed(usual_page: Page) -> None:
    assert usual_page.run("print(await bridge.hello(60))") == "open\n"
    usual_page.deaf = True  # all pages are closed
    code = f"bridge.set_output(here(), {{'text/plain': 'x'}}); bridge.write(here().id, {VALUE}); await asyncio.sleep(8)"
    usual_page.run(AWAITED.format(code), after=0.5)
    usual_page.deaf, usual_page.name, usual_page.lacks = False, "page-2", True
    usual_page._known.clear()
    there = {"a1": VALUE, "b2": {"version": 1}}
    usual_page.run(
        "bridge.write('b2', {'version': 1}); bridge.flush()",
        cell="b2",
        then=lambda: usual_page.cells == there and any("bundle" in each for each in usual_page.requests),
    )
    asked = [request for request in usual_page.requests if request["op"] == "set_output"]
    assert [request.get("bundle") for request in asked[-2:]] == [None, {"text/plain": "x"}]
    # A page that comes after that is offered nothing any more.
    usual_page.name = "page-3"
    usual_page.run("bridge.write('b2', {'version': 1}); bridge.flush()", cell="b2", after=0.5)
    assert len([request for request in usual_page.requests if request["op"] == "set_output"]) == len(asked)


def test_a_refused_write_says_why(usual_page: Page) -> None:
    refused = "while bridge.reason('gone') is None:\n        await asyncio.sleep(0.01)\n"
    code = AWAITED.format(f"await bridge.hello(60); bridge.write('gone', {{'version': 1}})\n    {refused}")
    assert usual_page.run(code + "print(bridge.reason('gone'), bridge.reason('a1'))") == "no such cell None\n"


def test_who_names_no_cell_is_asked_nothing(usual_page: Page) -> None:
    code = "began = time.monotonic(); print(await bridge.hello(60), here().id, time.monotonic() - began < "
    code += f"{stretched(0.5)})"
    assert usual_page.run(code, cell=None) == "unknown None True\n"
    usual_page.run(f"bridge.write('a1', {VALUE})", cell=None, after=0.3)
    assert usual_page.openings == 0


def test_a_cell_in_a_private_loop_writes_too(page: Page) -> None:
    code = f"""from orchat.private_event_loop import run_in_private_loop
async def answer():
    bridge.write(here().id, lambda: {VALUE})
    await asyncio.sleep(0.2)
    bridge.flush()
    return 42
print(run_in_private_loop(answer))"""
    assert page.run(code, then=lambda: page.cells["a1"] == VALUE) == "42\n"


def test_both_ends_are_of_one_version() -> None:
    static = EXTENSION / "static"
    assert json.loads((EXTENSION / "package.json").read_text())["version"] == __version__
    assert f'const VERSION = "{__version__}";' in (static / "remoteEntry.js").read_text()
    bridge, cells, renderer = (
        (static / f"{name}.js").read_text()
        for name in ("metadata_bridge", "bridge_operations", "saved_answer_renderer")
    )
    assert f"PROTOCOL = {PROTOCOL};" in bridge
    assert f'TARGET = "{TARGET}";' in bridge
    assert f'KEY = "{METADATA_KEY}";' in cells
    assert all(f'MIME_TYPE = "{MIME_TYPE}";' in each for each in (cells, renderer))


def test_values_of_each_cell_wait_for_themselves() -> None:
    waiting = WriteQueue()
    waiting.put("a", {"version": 1, "words": "x" * 100_000})
    assert len(waiting.take(0.0)) == 1
    waiting.put("a", {"version": 1})
    waiting.put("b", {"version": 1})
    assert waiting.take(3.0) == [("b", {"op": "set", "value": {"version": 1}})]
    assert waiting.seconds_until_due(3.0) == pytest.approx(2.0, abs=0.1)
    assert waiting.take(6.0) == [("a", {"op": "set", "value": {"version": 1}})]


def test_only_a_patch_is_sent_again_whatever_a_page_says_it_lacks() -> None:
    waiting = WriteQueue()
    turns = [f"{number} {'x' * 100}" for number in range(100)]
    for number, kind in enumerate(["set", "patch"]):
        turns.append(kind)
        waiting.put("a", {"version": 1, "turns": list(turns)})
        ((_, message),) = waiting.take(40.0 * number)
        assert message["op"] == kind
        waiting.sent("a", f"m{number}")
        waiting.put_again("a", "m0")
        waiting.put_again("a", None)
        assert not waiting
    waiting.put_again("a", "m1")
    assert waiting.take(80.0) == [("a", {"op": "set", "value": {"turns": turns, "version": 1}})]
