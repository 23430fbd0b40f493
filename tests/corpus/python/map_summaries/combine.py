from promptflow.core import tool


@tool
def combine(summaries: list, counts: dict, longest: str, first: str):
    return {
        "summary": "\n".join(f"{number}. {item['text']}" for number, item in enumerate(summaries, 1)),
        "tokens": sum(item["tokens"] for item in summaries),
        "first": first,
        "most common": counts,
        "longest": longest,
        "ratio": round(len(first) / len(longest), 3),
    }
