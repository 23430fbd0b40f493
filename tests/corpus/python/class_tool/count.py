from promptflow import tool


def helper(text, letter):
    return text.count(letter)


@tool(name="Count letters", description="Counts letters")
def count(text: str, letters: list) -> dict:
    return {letter: helper(text, letter) for letter in letters}
