"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass

from .. import world


@dataclass
class NodesError_Failed:
    value: object


@dataclass
class NodesError_Refused:
    value: object


def call(node, inputs):
    world.called()
    return world.nodes(node, inputs)
