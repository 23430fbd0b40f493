from promptflow.core import tool


@tool
def parts(**parts):
    return parts
