import os

from promptflow.core import tool

MODE = os.environ.get("APP_MODE")


@tool
def seen(text: str) -> dict:
    found = {name: value for name, value in os.environ.items() if name.startswith("APP_")}
    found["APP_ENDPOINT"] = found.get("APP_ENDPOINT", "").rpartition(":")[0]
    before = os.getenv("SET_BY_A_NODE", "none")
    os.environ["SET_BY_A_NODE"] = text
    return {
        "environment": dict(sorted(found.items())),
        "at import": MODE,
        "before": before,
        "set": os.environ["SET_BY_A_NODE"],
    }
