"""What flows import: tools, prompties, model configurations, metrics."""

from promptflow._core.metric_logger import log_metric
from promptflow._core.tool import ToolProvider, tool
from promptflow._version import __version__
from promptflow.core._flow import AsyncFlow, AsyncPrompty, Flow, Prompty
from promptflow.core._model_configuration import (
    AzureOpenAIModelConfiguration,
    ModelConfiguration,
    OpenAIModelConfiguration,
)

log_flow_metric = log_metric

__all__ = [
    "AsyncFlow",
    "AsyncPrompty",
    "AzureOpenAIModelConfiguration",
    "Flow",
    "ModelConfiguration",
    "OpenAIModelConfiguration",
    "Prompty",
    "ToolProvider",
    "__version__",
    "log_flow_metric",
    "log_metric",
    "tool",
]
