from promptflow.core import tool


@tool
def mixed(n: int):
    yield "a "
    yield n
    yield 1.0
    yield {"k": [None, True, "it's"]}
    yield [1, 2.5]
    yield None
