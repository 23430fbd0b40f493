"""A host in memory, in the place of the bindings that componentize-py makes. `world` is what it knows and saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class World:
    """What the host tells, and what it was told. `reset` begins a test."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.variables: dict[str, str] = {}
        self.settings: dict[str, str] = {}
        self.init = "{}"
        self.node = "n"
        self.emitted: list[str] = []
        self.closes_after: int | None = None
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.metrics: dict[str, float] = {}
        self.requests: list[Any] = []
        #: Spans as they were started. Which of them is the current one; none: the node's own.
        self.spans: list[Any] = []
        self.current: Any = None
        #: Most spans that a run has.
        self.most_spans = 256
        #: The name of the span that each call of the host was below.
        self.called_in: list[str | None] = []
        #: What a model answers: a function of the request, which may raise `Err`.
        self.chat: Callable[[Any], dict[str, Any]] = lambda request: {}
        self.deltas: list[dict[str, Any]] = []
        self.cancelled = 0
        self.nodes: Callable[[str, str], str] = lambda node, inputs: "null"
        #: What a web server answers: status, headers and body of method, url, headers and body.
        self.web: Callable[..., tuple[int, list[tuple[str, str]], bytes]] | None = None

    def called(self) -> None:
        self.called_in.append(self.current and self.current.name)


world = World()
