import json

from phrases.choose import choose

from promptflow.core import tool


@tool
def greet(name: str) -> str:
    with open("phrases/phrases.json") as file:
        return choose(json.load(file), name).format(name=name)
