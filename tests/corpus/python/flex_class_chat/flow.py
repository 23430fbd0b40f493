from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from promptflow.core import OpenAIModelConfiguration, Prompty
from promptflow.tracing import trace

BASE_DIR = Path(__file__).absolute().parent


def log(message: str):
    print(message, flush=True)


@dataclass
class Result:
    answer: str
    dropped: int
    model: str


class ChatFlow:
    def __init__(self, model_config: OpenAIModelConfiguration, max_total_tokens: int = 4096, name: Optional[str] = None):
        self.prompty = Prompty.load(
            source=BASE_DIR / "chat.prompty",
            model={"configuration": model_config},
        )
        self.max_total_tokens = max_total_tokens
        self.name = name
        self.model = model_config.model

    @trace
    def estimate(self, question: str, chat_history: list) -> int:
        return sum(len(str(turn).split()) for turn in chat_history) + len(question.split())

    @trace
    def __call__(self, question: str = "What is ChatGPT?", chat_history: list = None) -> Result:
        """Flow entry function."""
        chat_history = list(chat_history or [])
        dropped = 0
        while self.estimate(question, chat_history) > self.max_total_tokens:
            chat_history = chat_history[1:]
            dropped += 1
            log(f"Reducing chat history count to {len(chat_history)} to fit token limit")
        answer = self.prompty(question=question, chat_history=chat_history)
        return Result(answer, dropped, self.model)
