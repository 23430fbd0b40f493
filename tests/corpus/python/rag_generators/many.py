from typing import Iterator
from promptflow.core import tool


@tool
def many(n: int) -> Iterator[int]:
    return iter(range(n))
