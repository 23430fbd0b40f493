from promptflow.connections import CustomConnection
from promptflow.core import tool


@tool
def about(conn: CustomConnection) -> dict:
    configs = dict(conn.configs)
    return {
        "type": type(conn).__name__,
        "endpoint": configs["endpoint"].rpartition(":")[0],
        "version": configs.get("api_version"),
        "missing": configs.get("nothing", "-"),
        "has key": bool(conn.secrets.get("api_key")),
        "length": len(conn.api_key),
        "secret": conn.is_secret("api_key"),
        "config": conn.is_secret("endpoint"),
    }
