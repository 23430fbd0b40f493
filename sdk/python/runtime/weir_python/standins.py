"""Puts what CPython lacks here in its place: `ssl`, sockets that speak HTTP alone, threads, an event loop, functions.

Done once, before anything of the flow is imported, so that packages such as requests and httpx find what they look for.
"""

from __future__ import annotations

import errno
import itertools
import os
import sys


def install() -> None:
    from . import tls

    sys.modules["ssl"] = tls.module()
    from . import loop, sockets, threads

    sockets.install()
    threads.install()
    loop.install()
    _host_modules()
    _functions()


def _host_modules() -> None:
    """Imports all that knows the bindings, while they can be imported."""
    from wit_world.imports import monotonic_clock, poll  # noqa: F401

    from . import host, web  # noqa: F401


def _functions() -> None:
    """Functions that this build of CPython leaves out."""
    import hashlib

    if not hasattr(hashlib, "pbkdf2_hmac"):
        hashlib.pbkdf2_hmac = pbkdf2_hmac
    if not hasattr(os, "system"):
        os.system = os.popen = _no_programs


def pbkdf2_hmac(hash_name: str, password: bytes, salt: bytes, iterations: int, dklen: int | None = None) -> bytes:
    """As in hashlib, where it is part of OpenSSL."""
    import hashlib
    import hmac

    keyed = hmac.new(password, None, hash_name)
    wanted = dklen or hashlib.new(hash_name).digest_size
    made = b""
    for block in itertools.count(1):
        turn = keyed.copy()
        turn.update(salt + block.to_bytes(4, "big"))
        digest = turn.digest()
        mixed = int.from_bytes(digest, "big")
        for _ in range(iterations - 1):
            turn = keyed.copy()
            turn.update(digest)
            digest = turn.digest()
            mixed ^= int.from_bytes(digest, "big")
        made += mixed.to_bytes(len(digest), "big")
        if len(made) >= wanted:
            return made[:wanted]
    raise AssertionError("unreachable")


def _no_programs(*_: object) -> int:
    raise OSError(errno.ENOSYS, "other programs cannot be started inside a node of weir")
