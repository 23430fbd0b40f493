from typing import List

from promptflow.core import tool


@tool
def shorten(chat_history: List[dict], keep: int = 5) -> dict:
    """Keep the last turns only, so that the prompt stays within the model's window."""
    history = chat_history[-keep:]
    return {"history": history, "kept": len(history), "dropped": len(chat_history) - len(history)}
