"""Tools for the kernel's namespace: `run_python` and `inspect_variable`.

They are opt-in (``-T run_python``), and each call needs a decision of its own, by a person or a function: "always" does
not count. Their results are bounded and without secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from orchat.errors import SerializationError
from orchat.tools import Tool

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["KernelTool", "inspect_variable", "run_python"]


class KernelTool(Tool):
    """A tool that acts on the kernel's variables; each call needs a decision."""

    asks_always = True

    def to_dict(self) -> NoReturn:
        """Raise: a dictionary is data, and must give no access to this kernel.

        Raises
        ------
        SerializationError
            Always.
        """
        raise SerializationError(
            f"The tool `{self.name}` belongs to this kernel and cannot be saved.", hint="Give it in code where it runs."
        )


def run_python(shell: InteractiveShell) -> Tool:
    r"""Return the tool that runs Python among the user's variables.

    Printed text, displays, figures and the value of the last expression go to the model and not into the cell. An
    interrupt stops the code.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> shell = InteractiveShell(user_ns={"tons": 40})
    >>> run_python(shell).invoke(code="print('in all'); tons * 2")
    'Printed:\nin all\n\nValue:\n80'
    """
    from orchat.jupyter.kernel.variable_tools.code_execution import CodeExecutor

    executor = CodeExecutor(shell, "run_python")
    return KernelTool(
        name="run_python",
        description=(
            "Run Python in the user's notebook kernel, among the user's variables, which stay as the code leaves them. "
            "Returns what was printed and displayed, figures, and the value of the last expression, shortened where it "
            "is long. Top-level await is not possible."
        ),
        parameters=_text_schema("code", "The Python code of one notebook cell."),
        function=executor.run,
        async_function=executor.run_async,
    )


def inspect_variable(shell: InteractiveShell) -> Tool:
    """Return the tool that describes one of the user's variables.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> shell = InteractiveShell(user_ns={"ship": {"tons": 40}})
    >>> print(inspect_variable(shell).invoke(name="ship['tons']"))
    ship['tons'] is of type int.
    <BLANKLINE>
    40
    """
    from orchat.jupyter.kernel.variable_tools.variable_inspection import VariableInspector

    inspector = VariableInspector(shell)
    return KernelTool(
        name="inspect_variable",
        description=(
            "Look at one variable of the user's notebook kernel: its type, size, attributes or columns, and its value, "
            "shortened where it is long."
        ),
        parameters=_text_schema(
            "name", "A name, perhaps with attributes and constant subscripts: df, df.shape, d['a']."
        ),
        function=inspector.describe,
        async_function=inspector.describe_async,
    )


def _text_schema(name: str, description: str) -> dict[str, Any]:
    """Return the schema of a single string argument."""
    properties = {name: {"type": "string", "description": description}}
    return {"type": "object", "properties": properties, "required": [name], "additionalProperties": False}
