from typing import Optional

from promptflow.core import tool


@tool
def options(given: Optional[str], value: Optional[int] = None, empty: str = "the default", left_out: Optional[list] = None):
    return {"given": given, "value": value, "empty": empty, "left out": left_out}
