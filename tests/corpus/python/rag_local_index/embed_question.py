from typing import List

from openai import OpenAI

from promptflow.connections import OpenAIConnection
from promptflow.core import tool


@tool
def embed_question(connection: OpenAIConnection, question: str) -> List[float]:
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
    return client.embeddings.create(input=question, model="text-embedding-3-small").data[0].embedding
