from pathlib import Path

from jinja2 import Template
from promptflow.core import Prompty, tool

HERE = Path(__file__).absolute().parent


@tool
def prompts(question: str, history: list):
    prompty = Prompty.load(source=HERE / "chat.prompty")
    template = Template("{% for turn in history %}{{turn}};{% endfor %}{{question}}")
    return {
        "prompt": prompty.render(question=question, history=history),
        "template": template.render(question=question, history=history),
    }
