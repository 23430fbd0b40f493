"""As componentize-py makes it of the WIT, over the world of the test."""

import time

from .poll import Pollable


def subscribe_duration(nanoseconds):
    return Pollable(time.monotonic() + nanoseconds / 1e9)
