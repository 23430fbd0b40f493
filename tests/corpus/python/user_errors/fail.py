import json
import sys
from dataclasses import dataclass

from promptflow.core import tool
from promptflow.exceptions import ErrorTarget, SystemErrorException, UserErrorException


class NotFoundError(UserErrorException):
    pass


@dataclass
class Found:
    length: int


class Plain(Exception):
    def __str__(self):
        return "its own text"


def chained():
    try:
        return {}["inner"]
    except KeyError as error:
        raise RuntimeError("outer") from error


@tool
def fail(kind: str):
    if kind == "value":
        raise ValueError("boom happened")
    if kind == "key":
        return {}["missing"]
    if kind == "zero":
        return 1 / 0
    if kind == "empty":
        raise Exception()
    if kind == "assert":
        assert kind == "", "kind must be empty"
    if kind == "own":
        raise Plain("ignored")
    if kind == "user":
        raise UserErrorException("please give another kind")
    if kind == "user class":
        raise NotFoundError(message_format="{thing} was not found", thing="that", target=ErrorTarget.TOOL)
    if kind == "system":
        raise SystemErrorException("the disk is full")
    if kind == "chained":
        return chained()
    if kind == "json":
        return json.loads("{not json")
    if kind == "deep":
        return fail_deep(0)
    if kind == "exit":
        sys.exit(3)
    if kind == "set":
        return {"length": 1, "set": {1}}
    if kind == "no length":
        return {"size": 1}
    if kind == "nan":
        return {"length": float("nan")}
    if kind == "dataclass":
        return Found(3)
    if kind == "none":
        return None
    if kind == "bytes":
        return {"length": 1, "bytes": b"abc"}
    if kind == "unicode":
        raise ValueError("Ünïcode ✓ \n second line")
    return {"length": len(kind)}


def fail_deep(n):
    return fail_deep(n + 1)
