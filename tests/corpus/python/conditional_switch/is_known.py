from promptflow.core import tool


@tool
def is_known(kind: str) -> bool:
    return kind != "unknown"
