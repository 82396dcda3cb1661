"""Tools that a model may call: definition, schemas, validation, import paths, serialization.

`tool` turns a typed function into a `Tool`, a `Toolset` groups tools, `allow_modules` says from where saved tools may
be loaded. This floor must not know messages, models or notebooks; pydantic and jsonschema-rs are imported when the
first tool is made.
"""

from orchat.tools.decorator import create_tool_from_function, tool
from orchat.tools.definition import Tool
from orchat.tools.import_path import allow_modules
from orchat.tools.tool_progress import ProgressUpdate, ToolProgress, report_progress, watch_progress
from orchat.tools.tool_refusal import ToolRejected
from orchat.tools.toolset import Toolset

__all__ = [
    "ProgressUpdate",
    "Tool",
    "ToolProgress",
    "ToolRejected",
    "Toolset",
    "allow_modules",
    "create_tool_from_function",
    "report_progress",
    "tool",
    "watch_progress",
]
