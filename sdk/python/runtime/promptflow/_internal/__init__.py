"""What packages of tools import, so as not to import `promptflow` while it is being imported itself."""

from promptflow._constants import PROMPTFLOW_CONNECTIONS
from promptflow._core._errors import GenerateMetaUserError, PackageToolNotFoundError, ToolExecutionError
from promptflow._core.cache_manager import enable_cache
from promptflow._core.metric_logger import add_metric_logger
from promptflow._core.tool import ToolInvoker, ToolProvider, tool
from promptflow._core.tools_manager import builtins, register_apis, register_builtins, register_connections
from promptflow._utils.logger_utils import flow_logger, get_logger, logger
from promptflow._utils.utils import AttrDict, camel_to_snake, load_json
from promptflow._version import VERSION

__all__ = [
    "PROMPTFLOW_CONNECTIONS",
    "VERSION",
    "AttrDict",
    "GenerateMetaUserError",
    "PackageToolNotFoundError",
    "ToolExecutionError",
    "ToolInvoker",
    "ToolProvider",
    "add_metric_logger",
    "builtins",
    "camel_to_snake",
    "enable_cache",
    "flow_logger",
    "get_logger",
    "load_json",
    "logger",
    "register_apis",
    "register_builtins",
    "register_connections",
    "tool",
]
