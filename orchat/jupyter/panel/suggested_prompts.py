"""Questions that an empty chat offers, from what the notebook holds: a data frame, an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchat.jupyter.kernel.prompt.prompt_namespace import ErrorHistory, PromptNamespace

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def suggested_prompts(shell: InteractiveShell | None) -> list[str]:
    """Return questions about the newest data frame and the last error of a shell; general ones without them.

    Examples
    --------
    >>> suggested_prompts(None)
    ['Explain a concept with a small example', 'Write a function that …']
    """
    if shell is None:
        return ["Explain a concept with a small example", "Write a function that …"]
    prompts = []
    namespace = PromptNamespace(shell)
    frames = [name for name in namespace if not name.startswith("_") and _is_frame(namespace[name])]
    if frames:
        prompts += [f"Explain {{{frames[-1]}}}", f"What is remarkable in {{{frames[-1]}}}?"]
    if errors := list(ErrorHistory(shell)):
        prompts.append(f"Fix the last error: {{Err[{max(errors)}]}}")
    return prompts or suggested_prompts(None)


def _is_frame(value: object) -> bool:
    """Return whether a value is a table: it has columns and a shape of two dimensions."""
    kind = type(value)
    return hasattr(kind, "columns") and hasattr(kind, "shape")
