from pathlib import Path

from promptflow.core import Prompty, tool
from promptflow.tracing import trace

BASE_DIR = Path(__file__).absolute().parent


@trace
def verdict(score: int) -> str:
    return "good" if score > 3 else "bad"


@tool
def review(text: str) -> dict:
    prompty = Prompty.load(
        source=BASE_DIR / "prompts" / "review.prompty", model={"parameters": {"max_tokens": 64, "temperature": 0}}
    )
    result = prompty(text=text)
    return {**result, "verdict": verdict(result["score"])}
