"""As componentize-py makes it of the WIT, over the world of the test."""

import time


class Pollable:
    """Ready from a moment on."""

    def __init__(self, at=0.0):
        self.at = at

    def ready(self):
        return time.monotonic() >= self.at

    def block(self):
        time.sleep(max(0.0, self.at - time.monotonic()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def poll(pollables):
    first = min(pollable.at for pollable in pollables)
    time.sleep(max(0.0, first - time.monotonic()))
    return [index for index, pollable in enumerate(pollables) if pollable.ready()]
