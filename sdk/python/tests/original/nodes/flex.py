from dataclasses import dataclass
from typing import TypedDict

from promptflow.tracing import trace


@dataclass
class Answer:
    text: str
    models: list


class Typed(TypedDict):
    a: int


def function(text: str, n: int = 2):
    return f"{text!r}*{n!r}"


def typed(a: int) -> Typed:
    return Typed(a=a)


def dataclass_answer(text: str) -> Answer:
    return Answer(text, ["m"])


def streams(n: int = 3):
    for i in range(n):
        yield str(i)


def two_streams():
    return {"a": (str(i) for i in range(3)), "b": (str(i) for i in range(3))}


async def asynchronous(text: str):
    return {"text": text}


def fails(kind: str = "key"):
    raise {"key": KeyError("kk"), "plain": Exception("This is an exception")}[kind]


class Chat:
    def __init__(self, greeting: str = "hi"):
        self.greeting = greeting

    @trace
    def __call__(self, name: str) -> str:
        return f"{self.greeting} {name}"
