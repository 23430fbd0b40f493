"""As componentize-py makes it of the WIT, over the world of the test."""

from .. import world


def get_environment():
    return list(world.variables.items())
