from promptflow.core import tool


@tool
def prepare_example():
    return [
        {"question": "What is 37593 * 67?", "code": "{\n    \"code\": \"print(37593 * 67)\"\n}"},
        {"question": "x + 3 = 7?", "code": "{\n    \"code\": \"print(7 - 3)\"\n}"},
    ]
