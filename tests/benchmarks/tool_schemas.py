"""Synthetic tools of the shape that 1,367 real ones have: dialects, sizes, keywords, and arguments that fit them.

The proportions are those that were counted over the tools of 32 servers; words and names are made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

REAL = 1_367
"""How many tools were counted."""

_DIALECTS = {
    None: 746,
    "http://json-schema.org/draft-07/schema#": 462,
    "https://json-schema.org/draft/2020-12/schema": 159,
}
_REST = {False: 803, True: 402, None: 162}  # additionalProperties
_KINDS = {
    "string": 40, "described": 12, "integer": 12, "boolean": 10, "enum": 9, "strings": 8, "nullable": 6, "object": 4,
    "objects": 2, "free": 3, "format": 2, "number": 2, "types": 2, "reference": 2, "pattern": 1,
}  # fmt: skip
_WORDS = [
    "the",
    "name",
    "of",
    "a",
    "port",
    "where",
    "ships",
    "may",
    "wait",
    "for",
    "high",
    "water",
    "and",
    "list",
    "items",
    "by",
    "page",
    "size",
    "as",
    "of",
    "date",
]


@dataclass(frozen=True)
class SampleTool:
    """The description of a tool, and arguments that fit it."""

    name: str
    description: str
    schema: dict[str, Any]
    arguments: dict[str, Any]


def sample_tools(count: int = REAL, seed: int = 7) -> list[SampleTool]:
    """Make so many tools; the same ones for the same seed."""
    random = Random(seed)
    return [_tool(random, number) for number in range(count)]


def _tool(random: Random, number: int) -> SampleTool:
    most = 40 if random.random() < 0.03 else 12
    schema, arguments = _object(random, random.randint(0, most), 0)
    if (dialect := _chosen(random, _DIALECTS)) is not None:
        schema = {"$schema": dialect, **schema}
    if "#/$defs/Place" in str(schema):
        place = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
        schema["$defs"] = {"Place": place}
    words = random.randint(200, 800) if random.random() < 0.12 else random.randint(5, 60)
    return SampleTool(f"tool_{number}", _text(random, words), schema, arguments)


def _object(random: Random, size: int, depth: int) -> tuple[dict[str, Any], dict[str, Any]]:
    properties, arguments, required = {}, {}, []
    for number in range(size):
        name = f"{random.choice(_WORDS)}_{number}"
        properties[name], value = _property(random, depth)
        if random.random() < 0.4:
            required.append(name)
        if name in required or random.random() < 0.3:
            arguments[name] = value
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if (rest := _chosen(random, _REST)) is not None:
        schema["additionalProperties"] = rest
    return schema, arguments


def _property(random: Random, depth: int) -> tuple[dict[str, Any], Any]:
    kind = _chosen(random, _KINDS)
    if depth >= 3 and kind in ("object", "objects"):
        kind = "string"
    match kind:
        case "object":
            return _object(random, random.randint(1, 5), depth + 1)
        case "objects":
            inner, value = _object(random, random.randint(1, 5), depth + 1)
            return {"type": "array", "items": inner}, [value]
    schema, value = _SCALARS[kind]
    return {**schema, "description": _text(random, random.randint(3, 25))}, value


_LARGEST = 2**53 - 1
_SCALARS: dict[str, tuple[dict[str, Any], Any]] = {
    "string": ({"type": "string"}, "Hull"),
    "described": ({"type": "string", "minLength": 1, "maxLength": 500}, "Hull"),
    "integer": ({"type": "integer", "minimum": -_LARGEST, "maximum": _LARGEST, "default": 10}, 3),
    "number": ({"type": "number"}, 0.5),
    "boolean": ({"type": "boolean", "default": False}, True),
    "enum": ({"type": "string", "enum": ["open", "closed", "all"]}, "all"),
    "strings": ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    "nullable": ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, None),
    "types": ({"type": ["string", "null"]}, "a"),
    "free": ({"type": "object"}, {"any": [1, None]}),
    "format": ({"type": "string", "format": "date-time"}, "2026-01-02T10:30:00Z"),
    "reference": ({"$ref": "#/$defs/Place"}, {"port": "Hull"}),
    "pattern": ({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,62}$"}, "hull"),
}


def _chosen(random: Random, weights: dict[Any, int]) -> Any:
    return random.choices(list(weights), list(weights.values()))[0]


def _text(random: Random, words: int) -> str:
    return " ".join(random.choice(_WORDS) for _ in range(words)).capitalize() + "."
