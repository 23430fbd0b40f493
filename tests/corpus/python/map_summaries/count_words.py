from collections import Counter

from promptflow.core import tool


@tool
def count_words(pieces: list) -> dict:
    counter = Counter()
    for piece in pieces:
        counter.update(word.strip(".,").lower() for word in piece.split())
    return dict(counter.most_common(3))
