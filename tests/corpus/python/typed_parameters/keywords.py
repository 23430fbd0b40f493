from promptflow.core import tool


@tool
def keywords(first: str, *, third=0, **more) -> dict:
    return {"first": first, "third": third, "more": more}
