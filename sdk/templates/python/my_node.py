from promptflow.core import tool


@tool
def my_node(name: str) -> str:
    """Greets somebody."""
    if not name.strip():
        raise ValueError("`name` is empty; whom shall I greet?")
    return f"Hello, {name.strip()}!"
