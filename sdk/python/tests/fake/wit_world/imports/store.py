"""As componentize-py makes it of the WIT, over the world of the test."""

from .. import world


def get(key):
    return world.settings.get(key)


def get_all():
    return list(world.settings.items())
