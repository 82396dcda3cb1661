"""Tools for the notebook itself: list and read cells, and, by a person's decision, insert, edit, delete and run one.

They are opt-in (``-T notebook``). Changes go through the page, so that the editor's undo takes them back; no file is
written behind it. The form of a change shows the difference and the place, and a cell that was changed since is left
alone: what runs is what was shown. A cell runs in the loop of the cell that asks, and is never queued behind it.

From low to high: `browser_notebook` (the cells as the page has them), `cell_outputs` (outputs for page and model),
`cell_previews` (what a form shows), `notebook_toolset` (the tools).
"""

from orchat.jupyter.kernel.notebook_tools.notebook_toolset import notebook_tools, tool_set, tool_sets

__all__ = ["notebook_tools", "tool_set", "tool_sets"]
