from promptflow.core import tool


@tool
def length(words) -> int:
    return len(list(words))
