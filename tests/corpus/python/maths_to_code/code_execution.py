import sys
from io import StringIO

from promptflow.core import tool


@tool
def func_exe(code_snippet: str):
    if code_snippet == "JSONDecodeError" or code_snippet.startswith("Unknown Error:"):
        return code_snippet
    old_stdout = sys.stdout
    redirected_output = sys.stdout = StringIO()
    try:
        exec(code_snippet.lstrip())
    except Exception as e:
        sys.stdout = old_stdout
        return f"{type(e).__name__}: {e}"
    sys.stdout = old_stdout
    return redirected_output.getvalue().strip()
