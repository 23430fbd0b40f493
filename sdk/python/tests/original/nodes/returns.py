from typing import TypedDict

from promptflow.core import tool


class Result(TypedDict):
    a: int


@tool
def returns(kind: str):
    return {
        "text": "ä😀",
        "number": 1,
        "float": 1.50,
        "none": None,
        "flag": True,
        "list": [1, [2, {"x": None}]],
        "tuple": (1, 2),
        "typed": Result(a=1),
        "keys": {1: "a", "b": 2},
        "generator": (str(i) for i in range(3)),
        "numbers": (i for i in range(3)),
        "empty": iter(()),
    }[kind]
