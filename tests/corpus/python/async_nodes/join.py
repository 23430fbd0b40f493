from promptflow.core import tool


@tool
def join(titles: list, word: str) -> str:
    return f" {word} ".join(titles)
