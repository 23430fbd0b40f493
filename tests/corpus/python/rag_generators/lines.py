from promptflow.core import tool


@tool
def lines(text: str):
    for number, word in enumerate(text.split()):
        yield {"n": number, "word": word}
