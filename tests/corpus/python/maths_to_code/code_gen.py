import json
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from promptflow.contracts.types import PromptTemplate
from promptflow.core import tool


@tool
def code_gen(question: str, examples: list, ask_llm_prompt: PromptTemplate) -> str:
    from pathlib import Path
    env = Environment(loader=FileSystemLoader(str(Path(__file__).parent)), undefined=StrictUndefined)
    text = env.get_template("ask_llm.jinja2").render(question=question, examples=examples)
    numbers = [word.strip("?,.") for word in question.split() if word.strip("?,.").isdigit()]
    code = "print(" + " * ".join(numbers or ["undefined_name"]) + ")"
    if "broken" in question:
        return "```python\nprint('x'\n```"
    if "fence" in question:
        return f"```python\n{code}\n```"
    return json.dumps({"code": code, "prompt": len(text), "of": type(ask_llm_prompt).__name__})
