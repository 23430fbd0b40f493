from promptflow.core import tool


@tool
def keywords(a: int, *, b: int = 2, **rest):
    return {"a": a, "b": b, "rest": rest}
