from promptflow.core import tool


@tool
def classify(query: str) -> str:
    query = query.lower()
    if "order" in query:
        return "order_search"
    if "recommend" in query:
        return "product_recommendation"
    if "product" in query:
        return "product_info"
    return "unknown"
