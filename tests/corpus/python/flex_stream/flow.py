from openai import OpenAI

from promptflow.connections import OpenAIConnection
from promptflow.tracing import trace


class ChatFlow:
    def __init__(self, connection: OpenAIConnection, model: str = "gpt-4o-mini"):
        self.client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
        self.model = model

    @trace
    def __call__(self, question: str, chat_history: list = []) -> str:
        messages = [{"role": "system", "content": "You are a helpful assistant."}]
        messages += chat_history
        messages.append({"role": "user", "content": question})
        response = self.client.chat.completions.create(model=self.model, messages=messages, stream=True)
        for chunk in response:
            if chunk.choices and chunk.choices[0].delta.content is not None:
                yield chunk.choices[0].delta.content
        yield f" ({self.model})"
