from promptflow.core import tool


@tool
def fallback() -> str:
    return "Sorry, no results matching your search were found."
