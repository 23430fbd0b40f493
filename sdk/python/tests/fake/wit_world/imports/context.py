"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass
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
