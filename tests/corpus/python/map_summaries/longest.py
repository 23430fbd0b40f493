from promptflow.core import tool


@tool
def longest(pieces):
    return max(pieces, key=len)
