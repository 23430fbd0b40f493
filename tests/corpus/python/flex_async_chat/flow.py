import asyncio
import os
from typing import Optional

from openai import AsyncOpenAI

from promptflow.tracing import trace


class ChatFlow:
    def __init__(self, max_total_tokens: int = 4096, name: Optional[str] = None):
        self.max_total_tokens = max_total_tokens
        self.name = name
        self.client = AsyncOpenAI(api_key=os.environ["OPENAI_API_KEY"])

    @trace
    async def shorten(self, chat_history):
        await asyncio.sleep(0.01)
        return chat_history[-2:]

    @trace
    async def __call__(self, question: str, chat_history: list = None, tone: str = "kind"):
        history = await self.shorten(chat_history or [])
        messages = [{"role": "system", "content": f"Be {tone}."}, *history, {"role": "user", "content": question}]
        if question == "fail":
            raise RuntimeError("as asked")
        first, second = await asyncio.gather(
            self.client.chat.completions.create(model="gpt-4o", messages=messages, stream=True),
            self.client.chat.completions.create(model="gpt-4o", messages=messages[-1:]),
        )
        async for chunk in first:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content
        yield f" {second.usage.total_tokens} {self.max_total_tokens} {self.name} {tone}"
