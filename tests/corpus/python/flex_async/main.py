import asyncio
from pathlib import Path

from app.clean import clean

from promptflow.core import AsyncPrompty
from promptflow.tracing import trace


@trace
async def ask(question: str) -> str:
    prompty = AsyncPrompty.load(source=Path(__file__).parent / "ask.prompty")
    return await prompty(question=question)


@trace
async def run(questions: list, limit: int = 3):
    answers = await asyncio.gather(*[ask(clean(question)) for question in questions[:limit]])
    return [{"question": question, "answer": answer} for question, answer in zip(questions, answers)]
