"""Entities of prompt flow: connections and settings of inputs are of use, runs are not."""

from promptflow._core.tool import DynamicList, InputSetting
from promptflow._unavailable import placeholder
from promptflow.core._connection import (
    AzureContentSafetyConnection,
    AzureOpenAIConnection,
    CognitiveSearchConnection,
    CustomConnection,
    FormRecognizerConnection,
    OpenAIConnection,
    QdrantConnection,
    SerpConnection,
)

Run = placeholder(__name__, "Run", "use `weir run --data FILE.jsonl` from outside")
FlowContext = placeholder(__name__, "FlowContext", "give connections and environment variables to `weir serve`")

__all__ = [
    "AzureContentSafetyConnection",
    "AzureOpenAIConnection",
    "CognitiveSearchConnection",
    "CustomConnection",
    "DynamicList",
    "FlowContext",
    "FormRecognizerConnection",
    "InputSetting",
    "OpenAIConnection",
    "QdrantConnection",
    "Run",
    "SerpConnection",
]
