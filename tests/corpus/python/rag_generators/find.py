from typing import List
from promptflow.core import tool
from promptflow.tracing import trace

DOCS = ["A weir is a low dam.", "A dam holds water.", "Bread is baked."]


@trace
def score(doc: str, words: set) -> int:
    return len(words & set(doc.lower().strip(".").split()))


@tool
def find(question: str, history: List[dict]) -> dict:
    words = set(question.lower().strip("?").split())
    for turn in history:
        words |= set(turn["inputs"]["question"].lower().split())
    ranked = sorted(DOCS, key=lambda doc: -score(doc, words))[:2]
    return {"prompt": f"{' '.join(ranked)} {question}", "context": "\n".join(ranked), "scores": [score(d, words) for d in ranked]}
