from dataclasses import dataclass
from typing import List

from promptflow.tracing import trace


@dataclass
class Score:
    f1: float
    passed: bool
    shared: list


def words(text: str) -> List[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


class Evaluator:
    """F1 of the words of an answer."""

    def __init__(self, threshold: float = 0.9):
        self.threshold = threshold

    @trace
    def __call__(self, answer: str, truth: str) -> Score:
        given, wanted = words(answer), words(truth)
        shared = [word for word in given if word in wanted]
        if not shared:
            return Score(0.0, False, [])
        precision, recall = len(shared) / len(given), len(shared) / len(wanted)
        f1 = 2 * precision * recall / (precision + recall)
        return Score(round(f1, 4), f1 >= self.threshold, shared)

    def __aggregate__(self, line_results: list) -> dict:
        return {"mean_f1": sum(line["f1"] for line in line_results) / len(line_results)}
