import re
from promptflow.core import tool


@tool
def get_urls(entity: str, count=2):
    words = [w for w in re.split(r"\W+", entity) if w and w not in ("and",)]
    return [f"http://127.0.0.1:18097/pages/{word}.html" for word in words[:count]]
