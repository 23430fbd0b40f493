"""Objects of chats, and names by which flows annotate messages and tools."""

from ..._models import BaseModel
from .. import CompletionUsage, _Param


class Function(BaseModel):
    arguments: str
    name: str


class FunctionCall(BaseModel):
    arguments: str
    name: str


class ChatCompletionMessageToolCall(BaseModel):
    id: str
    function: Function
    type: str


class ChatCompletionMessage(BaseModel):
    content: str
    refusal: str
    role: str
    annotations: list
    audio: object
    function_call: FunctionCall
    tool_calls: list[ChatCompletionMessageToolCall]


class Choice(BaseModel):
    finish_reason: str
    index: int
    logprobs: object
    message: ChatCompletionMessage


class ChatCompletion(BaseModel):
    id: str
    choices: list[Choice]
    created: int
    model: str
    object: str
    service_tier: str
    system_fingerprint: str
    usage: CompletionUsage


class ChoiceDeltaToolCall(BaseModel):
    index: int
    id: str
    function: Function
    type: str


class ChoiceDelta(BaseModel):
    content: str
    function_call: FunctionCall
    refusal: str
    role: str
    tool_calls: list[ChoiceDeltaToolCall]


class ChunkChoice(BaseModel):
    delta: ChoiceDelta
    finish_reason: str
    index: int
    logprobs: object


class ChatCompletionChunk(BaseModel):
    id: str
    choices: list[ChunkChoice]
    created: int
    model: str
    object: str
    service_tier: str
    system_fingerprint: str
    usage: CompletionUsage


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Param
