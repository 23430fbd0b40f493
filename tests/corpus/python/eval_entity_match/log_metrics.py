from promptflow.core import tool
from typing import List
from promptflow.core import log_metric
import numbers


@tool
def log_metrics(match_counts: List[dict], texts: List[str], exact: list, threshold: float):
    exact_match_rate = sum([m["exact_match"] for m in match_counts]) / len(match_counts)
    partial_match_rate = sum([m["partial_match"] for m in match_counts]) / len(match_counts)
    log_metric(key="exact_match_rate", value=exact_match_rate)
    log_metric(key="partial_match_rate", value=partial_match_rate)
    log_metric("lines", len(texts))
    log_metric("passed", exact_match_rate >= threshold)
    log_metric("text", "no number")
    log_metric("thousands", 1000 * sum(exact))
    log_metric("per", partial_match_rate, variant_id="variant_0")
    print("exact_match_rate: ", exact_match_rate)
    return {"exact_match_rate": exact_match_rate, "partial_match_rate": partial_match_rate}
