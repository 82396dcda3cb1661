"""Run a piece of code among the user's variables, in the thread where cells run.

A kernel turns its interrupt into the cancellation of the cell that is awaited, which code that does not await never
sees. So while code runs here, an interrupt stops it at once, and only then does what it would have done.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import linecache
import signal
import threading
import traceback
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from orchat.errors import ToolInvocationError
from orchat.jupyter.kernel.coroutine_runner import run_in_waiting_thread, runs_on_private_loop
from orchat.jupyter.kernel.variable_tools.output_capture import OutputCapture
from orchat.jupyter.kernel.variable_tools.tool_report import NOTHING, ReportSection, build_report
from orchat.messages.parts import ResultContent
from orchat.rendering import render_text
from orchat.rendering.images import figure_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_numbers = itertools.count(1)
_GRACE = 5.0  # seconds in which whoever handles interrupts may cancel us


class CodeExecutor:
    """Runs code in one shell.

    Parameters
    ----------
    shell
        The running IPython.
    tool_name
        What failures are said to come from.
    """

    def __init__(self, shell: InteractiveShell, tool_name: str) -> None:
        self._shell = shell
        self._tool_name = tool_name

    def run(self, code: str) -> ResultContent:
        """Run code in this thread, and return what a model is told.

        Raises
        ------
        ToolInvocationError
            The code raised; the text says what, and what was printed before.
        KeyboardInterrupt
            It was interrupted.
        """
        name = f"<{self._tool_name} {next(_numbers)}>"
        value, failed = NOTHING, None
        with OutputCapture(self._shell) as captured:
            try:
                value = _interruptible(lambda: self._evaluate(code, name))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it is, SystemExit too, the model shall know
                failed = _told(error)
        pieces = [ReportSection("Printed", captured.printed, is_text=True)] if captured.printed.strip() else []
        pieces += [ReportSection("Displayed", each) for each in captured.shown]
        if failed is not None:
            text = build_report([*pieces, ReportSection("Failed", failed, is_text=True)], only_text=True)
            raise ToolInvocationError(str(text), self._tool_name) from None
        is_drawn = any(figure_of(value) is figure for figure in captured.shown)
        if value is not NOTHING and value is not None and not is_drawn:
            pieces.append(ReportSection("Value", value))
        return build_report(pieces)

    async def run_async(self, code: str) -> ResultContent:
        """Do what `run` does, in the thread where cells run, for code that draws or talks to a front end needs it."""
        if runs_on_private_loop():
            return await run_in_waiting_thread(lambda: self.run(code))
        before = signal.getsignal(signal.SIGINT)
        try:
            return self.run(code)
        except KeyboardInterrupt:
            # It must not get out of a task, or the event loop would end.
            if callable(before):
                before(signal.SIGINT, None)
        await asyncio.sleep(_GRACE)
        raise ToolInvocationError("The code was interrupted.", self._tool_name)

    def _evaluate(self, code: str, name: str) -> Any:
        """Run all statements, and return the value of a last expression."""
        text: str = self._shell.transform_cell(code)  # type: ignore[no-untyped-call]
        # Without a time of change it stays: tracebacks and `inspect` find the source.
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        tree = ast.parse(text, name)
        last: CodeType | None = None
        if tree.body and isinstance(end := tree.body[-1], ast.Expr) and not _is_muted(text):
            tree.body.pop()
            last = compile(ast.Expression(end.value), name, "eval", dont_inherit=True)
        spaces = self._shell.user_global_ns, self._shell.user_ns
        exec(compile(tree, name, "exec", dont_inherit=True), *spaces)  # noqa: S102 - a person approved it
        return NOTHING if last is None else eval(last, *spaces)  # noqa: S307 - likewise


def _interruptible(run: Callable[[], Any]) -> Any:
    """Run code so that an interrupt stops it as a KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        return run()
    before = signal.getsignal(signal.SIGINT)
    if before is None or before is signal.SIG_IGN:
        return run()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return run()
    finally:
        signal.signal(signal.SIGINT, before)


def _is_muted(text: str) -> bool:
    """Whether a last semicolon says that nobody wants the value, as in a cell."""
    return text.rstrip().endswith(";")


def _told(error: BaseException) -> str:
    """Say what was raised and where, with the frames of the code alone."""
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames: TracebackType | None = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return render_text(error.with_traceback(frames), budget=600)
