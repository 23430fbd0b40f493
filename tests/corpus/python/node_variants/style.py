from promptflow.core import tool


@tool
def style(name: str, marks: int = 0) -> str:
    return name + "!" * marks
