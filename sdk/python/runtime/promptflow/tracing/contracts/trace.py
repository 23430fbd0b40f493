"""A traced call, and its kinds."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Dict, List, Optional


class TraceType(str, Enum):
    LLM = "LLM"
    FUNCTION = "Function"
    LANGCHAIN = "LangChain"
    FLOW = "Flow"
    EMBEDDING = "Embedding"
    RETRIEVAL = "Retrieval"


@dataclass
class Trace:
    name: str
    type: TraceType
    inputs: Dict[str, Any]
    output: Optional[Any] = None
    start_time: Optional[float] = None
    end_time: Optional[float] = None
    error: Optional[str] = None
    children: Optional[List["Trace"]] = None
    node_name: Optional[str] = None
    parent_id: str = ""
    id: str = ""
    function: str = ""
