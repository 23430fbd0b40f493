import json
import re

from promptflow.core import tool


@tool
def my_python_tool(input1: str, style: str) -> str:
    input1 = re.sub(r"[$\\!]", "", input1)
    try:
        answer = json.loads(input1)["answer"]
    except Exception:
        numbers = re.findall(r"\d+", input1)
        answer = numbers[-1] if numbers else "JSONDecodeError"
    return f"{answer} {style}"
