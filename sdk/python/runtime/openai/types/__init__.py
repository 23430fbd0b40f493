"""Objects of completions and embeddings, and names by which flows annotate."""

from .._models import BaseModel


class CompletionTokensDetails(BaseModel):
    accepted_prediction_tokens: int
    audio_tokens: int
    reasoning_tokens: int
    rejected_prediction_tokens: int


class PromptTokensDetails(BaseModel):
    audio_tokens: int
    cached_tokens: int


class CompletionUsage(BaseModel):
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    completion_tokens_details: CompletionTokensDetails
    prompt_tokens_details: PromptTokensDetails


class CompletionChoice(BaseModel):
    finish_reason: str
    index: int
    logprobs: object
    text: str


class Completion(BaseModel):
    id: str
    choices: list[CompletionChoice]
    created: int
    model: str
    object: str
    system_fingerprint: str
    usage: CompletionUsage


class Embedding(BaseModel):
    embedding: list
    index: int
    object: str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class CreateEmbeddingResponse(BaseModel):
    data: list[Embedding]
    model: str
    object: str
    usage: EmbeddingUsage


class _Param(dict):
    """A dictionary that describes an argument; for annotations."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _Param
