import json
import math
import os
import re
from pathlib import Path

from promptflow.core import tool
from promptflow.tracing import trace

INDEX = Path(__file__).parent / "index" / "documents.jsonl"


@trace
def load_index():
    with open(INDEX, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words_of(text):
    return set(re.findall(r"[a-z]+", text.lower()))


def similarity(question, document):
    """Of the words: the vectors of an index are of the model that it was made with."""
    shared = words_of(question) & words_of(document)
    return len(shared) / math.sqrt(max(1, len(words_of(question))) * max(1, len(words_of(document))))


@tool
def search(question: str, vector: list) -> list:
    with open("index/meta.json") as file:
        meta = json.load(file)
    if len(vector) != meta["dimensions"]:
        raise ValueError(f"the index has {meta['dimensions']} dimensions, the question {len(vector)}")
    found = [dict(document, score=round(similarity(question, document["text"]), 4)) for document in load_index()]
    found = [document for document in found if document["score"] >= float(os.environ["MIN_SCORE"])]
    return sorted(found, key=lambda document: -document["score"])[: int(os.environ.get("TOP_K", "3"))]
