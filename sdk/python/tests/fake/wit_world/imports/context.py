"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

from .. import world


@dataclass
class AttributeValue_Text:
    value: str


@dataclass
class AttributeValue_Boolean:
    value: bool


@dataclass
class AttributeValue_Integer:
    value: int


@dataclass
class AttributeValue_Double:
    value: float


def current():
    return SimpleNamespace(flow="f", node=world.node, request_id="r", traceparent="", streaming=True, remaining_ms=1000)


def init():
    return world.init


def set_attribute(key, value):
    world.events.append(("attribute", {key: value.value}))


def add_event(name, attributes):
    world.events.append((name, {key: value.value for key, value in attributes}))


def log_metric(name, value):
    world.metrics[name] = value


class SpanKind(Enum):
    FUNCTION = 0
    TOOL = 1
    LLM = 2
    EMBEDDING = 3
    RETRIEVAL = 4
    FLOW = 5
    LANG_CHAIN = 6


@dataclass
class SpanError:
    kind: str
    message: str


@dataclass
class SpanEnd_Output:
    value: str


@dataclass
class SpanEnd_Iterated:
    value: str


@dataclass
class SpanEnd_Error:
    value: SpanError


class Span:
    def __init__(self, name, kind, inputs, above):
        self.name, self.kind, self.inputs, self.above = name, kind, inputs, above
        self.ended = None
        self.dropped = False

    def end(self, how):
        assert self.ended is None and not self.dropped, f"{self.name} is ended twice"
        self.ended = how
        while world.current is not None and world.current.ended is not None:
            world.current = world.current.above

    def set_attribute(self, key, value):
        raise NotImplementedError

    def __exit__(self, *_):
        self.dropped = True


def start_span(name, kind, inputs):
    if len(world.spans) == world.most_spans:
        return None
    world.current = Span(name, kind, inputs, world.current)
    world.spans.append(world.current)
    return world.current


def set_current_span(span):
    assert span is None or span.ended is None, f"{span.name} has ended"
    world.current = span
