"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass
from enum import Enum


class Blame(Enum):
    USER = 0
    SYSTEM = 1


@dataclass
class NodeError:
    blame: Blame
    code: str
    message: str


class CallErrorKind(Enum):
    NOT_GRANTED = 0
    NOT_FOUND = 1
    INVALID_REQUEST = 2
    UNAUTHENTICATED = 3
    RATE_LIMITED = 4
    REJECTED = 5
    UNAVAILABLE = 6
    TIMEOUT = 7
    CANCELLED = 8
    EXHAUSTED = 9
    PROTOCOL = 10
    INTERNAL = 11


@dataclass
class CallError:
    kind: CallErrorKind
    status: int | None
    message: str
