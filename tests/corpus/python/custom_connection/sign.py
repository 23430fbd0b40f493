import hashlib
import hmac

from promptflow.connections import CustomConnection
from promptflow.core import tool


@tool
def sign(connection: CustomConnection, text: str) -> str:
    key = connection.secrets["api_key"].encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
