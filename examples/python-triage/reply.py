from openai import AzureOpenAI
from promptflow.connections import AzureOpenAIConnection
from promptflow.core import tool


@tool
def reply(ticket: str, triage: dict, connection: AzureOpenAIConnection, model: str) -> str:
    client = AzureOpenAI(
        azure_endpoint=connection.api_base, api_key=connection.api_key, api_version=connection.api_version
    )
    answer = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": f"You answer for the team {triage['team']}. Be brief."},
            {"role": "user", "content": ticket},
        ],
    )
    return answer.choices[0].message.content
