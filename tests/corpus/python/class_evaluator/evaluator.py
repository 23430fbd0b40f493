from typing import TypedDict

from promptflow.tracing import trace


class Grade(TypedDict):
    score: int
    passed: bool
    words: dict


class Matcher:
    """How many words of an answer are those of the ground truth."""

    def __init__(self, threshold: int = 50, name: str = "match"):
        self.threshold = threshold
        self.name = name
        self.lines = 0

    @trace
    def overlap(self, answer: str, groundtruth: str) -> int:
        wanted = set(groundtruth.lower().split())
        if not wanted:
            raise ValueError("there is no ground truth")
        return 100 * len(wanted & set(answer.lower().split())) // len(wanted)

    def __call__(self, answer: str, groundtruth: str = "") -> Grade:
        self.lines += 1
        score = self.overlap(answer, groundtruth)
        return {"score": score, "passed": score >= self.threshold, "words": {"answer": len(answer.split())}}

    async def __aggregate__(self, line_results: list) -> dict:
        scores = [line.score for line in line_results]
        if 0 in scores:
            raise ValueError("an answer has nothing of its ground truth")
        return {
            "mean": sum(scores) / len(scores) if scores else None,
            "passed": sum(line["passed"] for line in line_results),
            "lines": len(line_results),
            "all": all(line.passed for line in line_results),
            "by": f"{self.name} from {self.threshold}",
            "words": [line.words["answer"] for line in line_results],
            "seen": self.lines,
            "kinds": sorted({type(line).__name__ for line in line_results}),
        }
