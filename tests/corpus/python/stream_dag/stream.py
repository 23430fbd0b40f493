from typing import Generator

from openai import OpenAI

from promptflow.connections import OpenAIConnection
from promptflow.core import tool


@tool
def stream(connection: OpenAIConnection, question: str) -> Generator[str, None, None]:
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
    response = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": question}], stream=True
    )
    for chunk in response:
        if len(chunk.choices) > 0 and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content
    yield "."
