from concurrent.futures import ThreadPoolExecutor
from functools import partial

from openai import OpenAI

from promptflow.connections import OpenAIConnection
from promptflow.core import tool


def summarize(client: OpenAI, model: str, piece: str) -> dict:
    completion = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": "Summarize in one sentence."},
            {"role": "user", "content": piece},
        ],
        temperature=0,
        max_tokens=60,
    )
    return {"text": completion.choices[0].message.content, "tokens": completion.usage.total_tokens}


@tool
def summarize_each(connection: OpenAIConnection, model: str, pieces: list) -> list:
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
    with ThreadPoolExecutor(max_workers=4) as executor:
        return list(executor.map(partial(summarize, client, model), pieces))
