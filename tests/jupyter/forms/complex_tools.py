"""Ten tools with schemas of the shapes that the most complex tools of real MCP servers have, each with a call."""

from __future__ import annotations

from typing import Any

from orchat.tools import Tool

Schema = dict[str, Any]


def text(**more: Any) -> Schema:
    return {"type": "string", **more}


def listed(item: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": item, **more}


def group(required: str = "", **properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "required": required.split()}


def nullable(*kinds: Schema, **more: Any) -> Schema:
    return {"anyOf": [*kinds, {"type": "null"}], "default": None, **more}


INT: Schema = {"type": "integer", "minimum": -9007199254740991, "maximum": 9007199254740991}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
FREE: Schema = {"type": "object", "additionalProperties": {}}

_DATE = group(dateTime=text(description="As in 2026-11-30T09:00:00."), timeZone=text())
_PERSON = group(
    "emailAddress",
    emailAddress=group("address", address=text(format="email"), name=text()),
    status=group(response={"enum": ["none", "accepted", "declined"]}, time=text(format="date-time")),
    proposedNewTime=group(start=_DATE, end=_DATE),
    type={"enum": ["required", "optional", "resource"]},
)
_EVENT = group(
    subject=text(),
    body=group(contentType={"enum": ["text", "html"]}, content=text()),
    start=_DATE,
    end=_DATE,
    attendees=listed(_PERSON),
    organizer=group(emailAddress=group(address=text(format="email"), name=text())),
    location=group(displayName=text(), address=group(street=text(), city=text(), country=text()), uniqueId=text()),
    recurrence=group(
        pattern=group(type={"enum": ["daily", "weekly"]}, interval=INT, daysOfWeek=listed(text())),
        range=group(startDate=text(format="date"), endDate=text(format="date"), numberOfOccurrences=INT),
    ),
    isAllDay=FLAG,
    categories=listed(text()),
)
_CALENDAR = group(
    "name",
    name=text(description="The calendar's name."),
    color={"enum": ["auto", "lightBlue", "lightGreen"]},
    owner=group(address=text(format="email"), name=text()),
    events=listed(_EVENT),
    calendarView=listed(_EVENT),
    defaultEvent=_EVENT,
    permissions=listed(group(emailAddress=group(address=text()), role={"enum": ["read", "write"]}, isRemovable=FLAG)),
    canEdit=FLAG,
    canShare=FLAG,
    hexColor=text(pattern="^#[0-9a-f]{6}$"),
)

_RANGE = group("sheetId", sheetId=INT, startRowIndex=INT, endRowIndex=INT, startColumnIndex=INT, endColumnIndex=INT)
_CELL_COLOUR = group(red=NUMBER, green=NUMBER, blue=NUMBER)
_SHEETS = group(
    "spreadsheetId requests",
    spreadsheetId=text(),
    requests=listed(
        {
            "anyOf": [
                group("addSheet", addSheet=group("title", title=text(), index=INT)),
                group("mergeCells", mergeCells=group(range=_RANGE, mergeType={"enum": ["MERGE_ALL", "MERGE_ROWS"]})),
                group("repeatCell", repeatCell=group(range=_RANGE, fields=text(), colour=_CELL_COLOUR)),
                group("deleteRange", deleteRange=group(range=_RANGE)),
            ]
        }
    ),
)

_SHAPES = group(
    "shapes",
    shapes=listed(
        {
            "oneOf": [
                group("kind radius", kind={"const": "circle"}, radius=NUMBER),
                group("kind width height", kind={"const": "box"}, width=NUMBER, height=NUMBER),
                group("kind points", kind={"const": "line"}, points=listed({**listed(NUMBER), "minItems": 2})),
            ]
        }
    ),
    background=text(pattern="^#[0-9a-f]{6}$", default="#ffffff"),
    size=group("width", width={**INT, "default": 640}, height={**INT, "default": 480}),
)

_FILTER: Schema = {
    "$defs": {
        "filter": {
            "anyOf": [
                group("field op value", field=text(), op={"enum": ["=", "<", ">"]}, value={}),
                group("and", **{"and": listed({"$ref": "#/$defs/filter"})}),
                group("or", **{"or": listed({"$ref": "#/$defs/filter"})}),
                group("not", **{"not": {"$ref": "#/$defs/filter"}}),
            ]
        }
    },
    **group("collection where", collection=text(), where={"$ref": "#/$defs/filter"}, limit={**INT, "default": 20}),
}

_METRICS: Schema = {
    "title": "get_metric_dataArguments",
    **group(
        "namespace metric_name start_time",
        namespace=text(title="Namespace"),
        metric_name=text(title="Metric Name"),
        start_time={"anyOf": [text(format="date-time"), text()], "title": "Start Time"},
        end_time=nullable(text(format="date-time"), text(), title="End Time"),
        statistic={"enum": ["AVG", "SUM", "p90"], "default": "AVG", "title": "Statistic"},
        dimensions=listed(group("name value", name=text(), value=text()), default=[]),
        group_by=nullable(text(), title="Group By"),
        limit=nullable(INT, title="Limit"),
        region={"type": ["string", "null"], "default": "eu-west-1"},
    ),
}

_QUERY = group(
    "sql",
    sql=text(description="One statement."),
    parameters=listed({"type": ["string", "number", "boolean", "null"]}, default=[]),
    timeout={**INT, "default": 30},
)

_MANIFEST = group(
    "kind metadata",
    apiVersion=text(default="v1"),
    kind={"enum": ["Deployment", "Service", "Job"]},
    metadata=group("name", name=text(), namespace=text(default="default"), labels=FREE, annotations=FREE),
    spec=group(
        replicas=INT,
        template=group(
            containers=listed(
                group(
                    "name image",
                    name=text(),
                    image=text(),
                    env=listed(group("name", name=text(), value=text())),
                    resources=group(limits=FREE, requests=FREE),
                    command=listed(text()),
                )
            )
        ),
    ),
    dryRun=FLAG,
)

_SETTINGS = {
    "type": "object",
    "properties": {f"feature{n:03}": [FLAG, INT, text(), listed(text())][n % 4] for n in range(400)},
}

_ISSUE = group(
    "owner repo title",
    owner=text(),
    repo=text(),
    title=text(maxLength=256),
    body=text(description="In Markdown."),
    labels=listed(text(), default=["bug"]),
    assignees=listed(text()),
    milestone={"anyOf": [INT, text()]},
    type={"oneOf": [{"const": "bug"}, {"const": "task"}, {"const": None}]},
    draft=FLAG,
)

_DRAFT7: Schema = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "additionalProperties": False,
    "definitions": {"place": group("lat lon", lat=NUMBER, lon=NUMBER)},
    **group(
        "from to",
        **{
            "from": {"anyOf": [text(title="address"), {"$ref": "#/definitions/place"}]},
            "to": {"anyOf": [text(title="address"), {"$ref": "#/definitions/place"}]},
            "via": listed({"$ref": "#/definitions/place"}),
            "mode": {"type": "string", "enum": ["drive", "walk", "cycle"], "default": "drive"},
            "avoid": listed({"enum": ["tolls", "ferries"]}),
            "departure": nullable(text(format="date-time"), {"const": "now"}),
        },
    ),
}

_POINT = {"lat": 53.74, "lon": -0.33}
_BOX = {"kind": "box", "width": 3, "height": 2.5}
_EQUALS = {"field": "port", "op": "=", "value": "Hull"}
CALLS: dict[str, tuple[Schema, dict[str, Any]]] = {
    "create_calendar": (_CALENDAR, {"name": "Tides"}),
    "batch_update": (
        _SHEETS,
        {
            "spreadsheetId": "1a",
            "requests": [{"addSheet": {"title": "Tides"}}, {"deleteRange": {"range": {"sheetId": 3}}}],
        },
    ),
    "draw": (_SHAPES, {"shapes": [{"kind": "circle", "radius": 1.5}, _BOX]}),
    "find": (_FILTER, {"collection": "tides", "where": {"and": [_EQUALS, {"not": _EQUALS}]}}),
    "get_metric_data": (_METRICS, {"namespace": "AWS/EC2", "metric_name": "CPU", "start_time": "2026-11-30T00:00:00Z"}),
    "query": (_QUERY, {"sql": "select port, high\nfrom tides\nwhere port = ?", "parameters": ["Hull", 3, None]}),
    "apply": (
        _MANIFEST,
        {"kind": "Job", "metadata": {"name": "tide", "labels": {"app": "sea"}}, "spec": {"replicas": 2}},
    ),
    "configure": (_SETTINGS, {"feature001": 3, "feature302": "spring", "feature399": ["a", "b"]}),
    "create_issue": (
        _ISSUE,
        {"owner": "hull", "repo": "tides", "title": "Too high", "body": "It is **high**.\n\n- 7 m", "milestone": "May"},
    ),
    "route": (_DRAFT7, {"from": "Hull", "to": _POINT, "via": [_POINT, _POINT], "departure": "now"}),
}


def complex_tool(name: str) -> Tool:
    """The tool of that name, which does nothing."""
    return Tool(name, f"A tool such as those that are called {name}.", CALLS[name][0], lambda **given: given)
