from pathlib import Path

from promptflow.core import Prompty, tool

BASE_DIR = Path(__file__).absolute().parent


@tool
def joke(topic: str, language: str) -> str:
    prompty = Prompty.load(source=BASE_DIR / "prompts" / "joke.prompty")
    return prompty(topic=topic, language=language)
