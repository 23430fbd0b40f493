from openai import OpenAI

from promptflow.connections import OpenAIConnection
from promptflow.contracts.multimedia import Image
from promptflow.core import tool


@tool
def describe(connection: OpenAIConnection, question: str, image: Image) -> str:
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
    response = client.chat.completions.create(
        model="gpt-4o",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": question},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image.to_base64()}"}},
                ],
            }
        ],
    )
    return response.choices[0].message.content
