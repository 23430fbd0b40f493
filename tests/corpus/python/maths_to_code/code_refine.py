import ast
import json
import re

from promptflow.core import tool


def is_valid(code):
    try:
        return ast.parse(code) is not None
    except SyntaxError as error:
        return f"{error.msg} at line {error.lineno}" and False


@tool
def code_refine(original_code: str) -> str:
    try:
        original_code = json.loads(original_code)["code"]
        fixed_code = None
        if not is_valid(original_code):
            fixed_code = original_code + ")"
        return fixed_code or original_code
    except json.JSONDecodeError as e:
        found = re.search(r"```python\s*(.*?)```", original_code, re.S)
        return found[1].strip() if found else f"JSONDecodeError: {e}"
    except Exception as e:
        return "Unknown Error:" + str(e)
