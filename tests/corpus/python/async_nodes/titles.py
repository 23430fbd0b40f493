import asyncio

from openai import AsyncOpenAI

from promptflow.connections import OpenAIConnection
from promptflow.core import tool
from promptflow.tracing import trace


@trace
async def title(client: AsyncOpenAI, topic: str) -> str:
    response = await client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": f"A title about {topic}"}]
    )
    return response.choices[0].message.content


@tool
async def titles(connection: OpenAIConnection, topics: list) -> list:
    client = AsyncOpenAI(api_key=connection.api_key, base_url=connection.base_url)
    limit = asyncio.Semaphore(2)

    async def one(topic):
        async with limit:
            return await title(client, topic)

    return await asyncio.gather(*(one(topic) for topic in topics))
