from promptflow.core import tool


@tool
def generator_tool(text: str):
    for word in text.split():
        yield word + " "
