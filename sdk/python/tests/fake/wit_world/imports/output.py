"""As componentize-py makes it of the WIT, over the world of the test."""

from enum import Enum

from componentize_py_types import Err

from .. import world


class Closed(Enum):
    GONE = 0
    LIMIT = 1


def emit(chunk):
    if world.closes_after is not None and len(world.emitted) >= world.closes_after:
        raise Err(Closed.GONE)
    world.emitted.append(chunk)
