from types import GeneratorType
from promptflow.core import tool


@tool
def count(lines) -> dict:
    first = next(lines)
    return {"first": first, "rest": [line["word"] for line in lines], "again": list(lines), "str": isinstance(lines, str)}
