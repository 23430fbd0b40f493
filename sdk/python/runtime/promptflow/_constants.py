"""Constants that packages on top of prompt flow import."""

from enum import Enum

from .constants import ConnectionAuthMode, ConnectionDefaultApiVersion  # noqa: F401

PROMPTFLOW_CONNECTIONS = "PROMPTFLOW_CONNECTIONS"
DEFAULT_ENCODING = "utf-8"
PROMPTY_EXTENSION = ".prompty"
PF_MAIN_MODULE_NAME = "__pf_main__"
DEFAULT_OUTPUT_NAME = "output"
LINE_NUMBER_KEY = "line_number"
CONNECTION_SCRUBBED_VALUE = "******"


class MessageFormatType:
    BASIC = "basic"
    OPENAI_VISION = "openai-vision"


class ConnectionType(str, Enum):
    _NOT_SET = "NotSet"
    AZURE_OPEN_AI = "AzureOpenAI"
    OPEN_AI = "OpenAI"
    SERVERLESS = "Serverless"
    QDRANT = "Qdrant"
    COGNITIVE_SEARCH = "CognitiveSearch"
    SERP = "Serp"
    AZURE_CONTENT_SAFETY = "AzureContentSafety"
    AZURE_AI_SERVICES = "AzureAIServices"
    FORM_RECOGNIZER = "FormRecognizer"
    WEAVIATE = "Weaviate"
    CUSTOM = "Custom"
