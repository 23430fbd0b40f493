from slugify import slugify

from promptflow.core import tool


@tool
def slug(title: str) -> str:
    return slugify(title, max_length=24, word_boundary=True)
