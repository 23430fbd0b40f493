"""The environment, while a component is built and in its runs.

Many flows read variables when they are imported: keys of a client, names of deployments. The build imports them too, and
does not know what a run will be told. So what a flow's modules read then is noted; a variable that is not there has a
stand-in that serves to make a client or to read a number; and an entry that has read any is imported again by each run,
with what the run is told.

| a module, while it is imported | gets of a variable that is not set |
| --- | --- |
| `os.environ["X"]` | a stand-in |
| `os.environ.get("X")`, `os.getenv("X", "d")`, `"X" in os.environ` | none, the default, no; of a key of a model's service a stand-in and yes |
| the same, if the import fails without it | a stand-in and yes |
"""

from __future__ import annotations

import os
import posixpath
import sys
from typing import Any

from .archive import FLOW

_RUNTIME = posixpath.dirname(posixpath.dirname(__file__)) + "/"
_PLUMBING = ("os.py", "_collections_abc.py")

#: Variables that a flow takes for granted: of clients of models.
_GRANTED = ("AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_KEY")


class State:
    building = False
    #: Whether every variable that is asked for is there.
    generous = False
    read: set[str] = set()


class Environ(os._Environ):
    """`os.environ`, which it is made of."""

    def __getitem__(self, key: Any) -> Any:
        if not State.building:
            return super().__getitem__(key)
        asked = _note(key)
        try:
            return super().__getitem__(key)
        except KeyError:
            if not asked:
                raise
            return stand_in(key)

    def get(self, key: Any, default: Any = None) -> Any:
        if not State.building:
            return super().get(key, default)
        _note(key)
        if self._has(key):
            return super().__getitem__(key)
        return stand_in(key) if _is_taken_for_granted(key) else default

    def __contains__(self, key: Any) -> bool:
        if not State.building:
            return super().__contains__(key)
        _note(key)
        return self._has(key) or _is_taken_for_granted(key)

    def _has(self, key: Any) -> bool:
        return self.encodekey(key) in self._data


def _is_taken_for_granted(key: str) -> bool:
    return (State.generous or key in _GRANTED) and _asks_for_the_flow()


def _note(key: str) -> bool:
    if not _asks_for_the_flow():
        return False
    State.read.add(key)
    return True


def _asks_for_the_flow() -> bool:
    """Whether it is a module of the flow that asks, by itself or by this runtime."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(FLOW + "/"):
            return True
        if not (path.startswith((_RUNTIME, "<frozen")) or path.endswith(_PLUMBING)):
            return False
        frame = frame.f_back
    return False


def stand_in(key: str) -> str:
    """A value of the kind that the name of a variable promises."""
    name = key.upper()
    if any(word in name for word in ("ENDPOINT", "URL", "API_BASE", "HOST", "SERVER")):
        return "https://build.invalid/"
    if "VERSION" in name:
        return "2024-02-01"
    if any(word in name for word in ("KEY", "TOKEN", "SECRET", "PASSWORD", "NAME", "MODEL", "DEPLOYMENT", "INDEX")):
        return "weir-connection:build"
    return "0"


def install() -> None:
    os.environ.__class__ = Environ


class reading:
    """Notes in `variables` what modules of the flow read inside a `with`."""

    def __init__(self, generous: bool = False):
        self._generous = generous
        self.variables: set[str] = set()

    def __enter__(self) -> reading:
        State.building, State.generous, State.read = True, self._generous, self.variables
        return self

    def __exit__(self, *_: Any) -> None:
        State.building = State.generous = False
