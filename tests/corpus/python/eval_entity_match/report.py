from promptflow.core import log_metric, tool


@tool
def report(metrics: dict, counts: list):
    log_metric("rate_of_report", round(metrics["exact_match_rate"] * 100))
    log_metric("entities", sum(map(len, counts)))
    return f"{metrics['exact_match_rate']:.0%}"
