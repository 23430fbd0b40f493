from openai import OpenAI
from promptflow.connections import OpenAIConnection
from promptflow.core import tool


@tool
def qna(prompt: str, connection: OpenAIConnection):
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url, max_retries=2)
    stream = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": prompt}], stream=True, temperature=0)

    def generate():
        for chunk in stream:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""
    return generate()
