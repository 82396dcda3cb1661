"""Run code in the user's namespace, in the thread where cells run.

The kernel turns its interrupt into a cancellation of the awaited cell, which code without ``await`` never receives. So
an interrupt first stops code that runs here, and then has its usual effect.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from orchat.chat.interrupt_detection import raise_keyboard_interrupt
from orchat.errors import ToolInvocationError
from orchat.jupyter.kernel.coroutine_runner import in_kernel
from orchat.jupyter.kernel.variable_tools.output_capture import OutputCapture
from orchat.jupyter.kernel.variable_tools.tool_report import NOTHING, ReportSection, build_report
from orchat.messages.parts import ResultContent
from orchat.private_event_loop import run_in_waiting_thread, runs_on_private_loop
from orchat.rendering import render_text
from orchat.rendering.images import figure_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_numbers = itertools.count(1)
_GRACE = 5.0  # seconds in which the handler of the interrupt may cancel this task


class Execution(NamedTuple):
    """What code did.

    Parameters
    ----------
    printed
        The text of stdout and stderr.
    displayed
        Displays and figures, as values with a display.
    value
        The value of a last expression; ``NOTHING`` without one.
    error
        What it raised.
    """

    printed: str
    displayed: list[Any]
    value: Any
    error: BaseException | None

    @property
    def has_value(self) -> bool:
        """Whether there is a value that says more than what was displayed."""
        is_drawn = any(figure_of(self.value) is figure for figure in self.displayed)
        return self.error is None and self.value is not NOTHING and self.value is not None and not is_drawn


class CodeExecutor:
    """Run code in one shell.

    Parameters
    ----------
    shell
        The running IPython.
    tool_name
        The tool that errors name.
    """

    def __init__(self, shell: InteractiveShell, tool_name: str) -> None:
        self._shell = shell
        self._tool_name = tool_name

    def run(self, code: str) -> ResultContent:
        """Run code in this thread, and return the tool's result.

        Raises
        ------
        ToolInvocationError
            The code raised; the text has the error and the earlier output.
        KeyboardInterrupt
            It was interrupted.
        """
        return self.report(self.execute(code))

    async def run_async(self, code: str) -> ResultContent:
        """Do what `run` does, in the thread where cells run: code that draws or uses comms needs it."""
        return self.report(await self.execute_async(code))

    def execute(self, code: str) -> Execution:
        """Run code in this thread, and return what it printed, displayed and returned, or its error.

        Raises
        ------
        KeyboardInterrupt
            It was interrupted.
        """
        name = f"<{self._tool_name} {next(_numbers)}>"
        value, error = NOTHING, None
        with OutputCapture(self._shell) as captured:
            try:
                value = _interruptible(lambda: self._evaluate(code, name), where_ignored=in_kernel(self._shell))
            except KeyboardInterrupt:
                raise
            except BaseException as raised:  # noqa: BLE001 - the model gets any error, SystemExit too
                error = raised
        return Execution(captured.printed, captured.displayed, value, error)

    async def execute_async(self, code: str) -> Execution:
        """Do what `execute` does, in the thread where cells run."""
        if runs_on_private_loop():
            return await run_in_waiting_thread(lambda: self.execute(code))
        before = signal.getsignal(signal.SIGINT)
        try:
            return self.execute(code)
        except KeyboardInterrupt:
            # It must not leave a task, or the event loop would end.
            if callable(before):
                before(signal.SIGINT, None)
                await asyncio.sleep(_GRACE)
        raise ToolInvocationError("The code was interrupted.", self._tool_name)

    def report(self, execution: Execution) -> ResultContent:
        """Return what code did as the tool's result.

        Raises
        ------
        ToolInvocationError
            The code raised; the text has the error and the earlier output.
        """
        printed, displayed, value, error = execution
        sections = [ReportSection("Printed", printed, is_text=True)] if printed.strip() else []
        sections += [ReportSection("Displayed", each) for each in displayed]
        if error is not None:
            failure = ReportSection("Failed", _error_report(error), is_text=True)
            raise ToolInvocationError(
                str(build_report([*sections, failure], only_text=True)), self._tool_name
            ) from None
        if execution.has_value:
            sections.append(ReportSection("Value", value))
        return build_report(sections)

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


def _interruptible(run: Callable[[], Any], *, where_ignored: bool) -> Any:
    """Run code so that an interrupt stops it as a KeyboardInterrupt.

    Parameters
    ----------
    run
        Runs the code.
    where_ignored
        Whether also where interrupts are ignored, as between the cells of a kernel, when a panel's turn runs code.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        return run()
    before = signal.getsignal(signal.SIGINT)
    if before is None or (before is signal.SIG_IGN and not where_ignored):
        return run()
    signal.signal(signal.SIGINT, raise_keyboard_interrupt)
    try:
        return run()
    finally:
        signal.signal(signal.SIGINT, before)


def _is_muted(text: str) -> bool:
    """Return whether a last semicolon suppresses the value, as in a cell."""
    return text.rstrip().endswith(";")


def _error_report(error: BaseException) -> str:
    """Return the traceback of an error as text, with the frames of the code alone."""
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames: TracebackType | None = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    return render_text(error.with_traceback(frames), budget=600)
