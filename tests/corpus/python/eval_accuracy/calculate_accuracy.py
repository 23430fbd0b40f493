from typing import List

from promptflow.core import log_metric, tool


@tool
def calculate_accuracy(grades: List[str], doubled: List[float], labels: List[str]):
    accuracy = round((grades.count("Correct") / len(grades)), 2)
    log_metric("accuracy", accuracy)
    log_metric("mean_doubled", sum(doubled) / len(doubled))
    for label in sorted(set(labels)):
        log_metric(f"count.{label}", labels.count(label))
    return {"accuracy": accuracy, "of": len(grades), "grades": grades}
