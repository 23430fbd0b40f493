import os
from pathlib import Path
from typing import TypedDict

from jinja2 import Template

from promptflow.tracing import trace

BASE_DIR = Path(__file__).absolute().parent


class Result(TypedDict):
    output: str
    length: int


@trace
def load_prompt(jinja2_template: str, text: str) -> str:
    """Load prompt function."""
    with open(BASE_DIR / jinja2_template, "r", encoding="utf-8") as f:
        prompt = Template(f.read(), trim_blocks=True, keep_trailing_newline=True).render(text=text)
        return prompt


@trace
def write_simple_program(text: str = "Hello World!", times: int = 1) -> Result:
    """Ask LLM to write a simple program."""
    if times > 5:
        raise ValueError(f"{times} times are too many")
    output = " ".join([load_prompt("hello.jinja2", text)] * times)
    return {"output": os.environ["GREETING"] + ", " + output, "length": len(output)}
