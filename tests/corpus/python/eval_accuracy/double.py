from promptflow.core import tool


@tool
def double(score: float) -> float:
    return score * 2
