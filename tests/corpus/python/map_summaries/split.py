from promptflow.core import tool


@tool
def split(document: str, size: int) -> list:
    words = document.split()
    return [" ".join(words[at : at + size]) for at in range(0, len(words), size)]
