import requests

from promptflow.connections import CustomConnection
from promptflow.core import tool


@tool
def search(connection: CustomConnection, query: str) -> dict:
    response = requests.get(
        f"{connection.endpoint}/search",
        params={"q": query, "top": 2, "api-version": connection.api_version},
        headers={"api-key": connection.api_key, "Accept": "application/json"},
        timeout=float(connection.timeout),
    )
    response.raise_for_status()
    return response.json()
