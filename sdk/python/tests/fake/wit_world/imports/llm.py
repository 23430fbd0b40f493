"""As componentize-py makes it of the WIT, over the world of the test."""

import json
from dataclasses import dataclass
from types import SimpleNamespace

from .. import world


@dataclass
class ChatRequest:
    connection: str
    model: str
    messages: str
    parameters: str


@dataclass
class CompletionRequest:
    connection: str
    model: str
    prompt: str
    parameters: str


@dataclass
class EmbeddingRequest:
    connection: str
    model: str
    inputs: list
    parameters: str


class ChatStream:
    def __init__(self):
        self._deltas = iter(world.deltas)

    def next(self):
        delta = next(self._deltas, None)
        if delta is None:
            return None
        return SimpleNamespace(
            content=delta.get("content") or "", delta=json.dumps(delta), finish_reason=delta.get("finish_reason")
        )

    def usage(self):
        return SimpleNamespace(prompt_tokens=1, completion_tokens=2, total_tokens=3)

    def __exit__(self, *_):
        world.cancelled += 1


def chat(request):
    world.called()
    world.requests.append(request)
    return SimpleNamespace(raw=json.dumps(world.chat(request)))


def stream_chat(request):
    world.called()
    world.requests.append(request)
    world.chat(request)
    return ChatStream()


def text(stream):
    return ("text of", stream)


def complete(request):
    world.called()
    world.requests.append(request)
    return SimpleNamespace(raw=json.dumps(world.chat(request)))


def embed(request):
    world.called()
    world.requests.append(request)
    world.chat(request)
    usage = SimpleNamespace(prompt_tokens=4, completion_tokens=0, total_tokens=4)
    return SimpleNamespace(model="e", vectors=[[0.5, -1.0] for _ in request.inputs], usage=usage)
