"""The types of the table in the docstring of `orchat.tools.tool`, which names them as here."""

from __future__ import annotations

import enum
import re  # noqa: F401
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple  # noqa: F401
from collections.abc import Iterable, Mapping, Sequence  # noqa: F401
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone  # noqa: F401
from decimal import Decimal  # noqa: F401
from fractions import Fraction  # noqa: F401
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address  # noqa: F401
from pathlib import Path, PurePosixPath  # noqa: F401
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar  # noqa: F401
from zoneinfo import ZoneInfo  # noqa: F401

from pydantic import (  # noqa: F401
    AwareDatetime,
    Base64Bytes,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    Json,
    PositiveInt,
    RootModel,
    SecretStr,
    StrictInt,
)
from typing_extensions import TypedDict

UUID = uuid.UUID
UTC = timezone.utc  # noqa: UP017 - as pydantic writes it
Port = NewType("Port", str)
T = TypeVar("T")
Pair = namedtuple("Pair", ["a", "b"])


class Kind(enum.Enum):
    RIVER = "river"
    SEA = "sea"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Tone(enum.StrEnum):
    WARM = "warm"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: int


class Route(TypedDict, total=False):
    stops: list[date]


@dataclass
class Spot:
    name: str
    since: date | None = None


class Place(BaseModel):
    name: str
    since: date | None = None


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


class Tree(BaseModel):
    n: int
    below: list[Tree] = []


class Gen(BaseModel, Generic[T]):
    item: T


class Names(RootModel[list[str]]):
    pass


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)

    day: date
