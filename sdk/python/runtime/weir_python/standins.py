"""Puts what CPython lacks here in its place: `ssl`, sockets that speak HTTP alone, threads, an event loop.

Done once, before anything of the flow is imported, so that packages such as requests and httpx find what they look for.
"""

from __future__ import annotations

import sys


def install() -> None:
    from . import tls

    sys.modules["ssl"] = tls.module()
    from . import loop, sockets, threads

    sockets.install()
    threads.install()
    loop.install()
    _host_modules()


def _host_modules() -> None:
    """Imports all that knows the bindings, while they can be imported."""
    from wit_world.imports import monotonic_clock, poll  # noqa: F401

    from . import host, web  # noqa: F401
