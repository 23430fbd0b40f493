from typing import Iterable, List
from promptflow.core import tool


@tool
def seen(items: Iterable[int]) -> List[int]:
    return [item * 2 for item in items]
