import json
from typing import Any, Dict, List

from openai import OpenAI
from functions import TOOLS, call

from promptflow.connections import OpenAIConnection
from promptflow.core import tool

MOST_ROUNDS = 4


@tool
def agent(connection: OpenAIConnection, question: str, chat_history: List[dict]) -> Dict[str, Any]:
    client = OpenAI(api_key=connection.api_key, base_url=connection.base_url)
    messages = [{"role": "system", "content": "Use the functions that you are given. Don't make assumptions."}]
    for turn in chat_history:
        messages.append({"role": "user", "content": turn["inputs"]["question"]})
        messages.append({"role": "assistant", "content": turn["outputs"]["answer"]})
    messages.append({"role": "user", "content": question})
    calls = []
    for _ in range(MOST_ROUNDS):
        response = client.chat.completions.create(model="gpt-4o", messages=messages, tools=TOOLS, tool_choice="auto")
        message = response.choices[0].message
        if not message.tool_calls:
            return {"answer": message.content, "calls": calls}
        messages.append(message)
        for tool_call in message.tool_calls:
            arguments = json.loads(tool_call.function.arguments)
            result = call(tool_call.function.name, arguments)
            calls.append({"function": tool_call.function.name, "arguments": arguments, "result": result})
            messages.append(
                {
                    "tool_call_id": tool_call.id,
                    "role": "tool",
                    "name": tool_call.function.name,
                    "content": json.dumps(result),
                }
            )
    raise RuntimeError(f"no answer after {MOST_ROUNDS} rounds")
