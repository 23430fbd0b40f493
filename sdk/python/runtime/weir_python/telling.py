"""Inputs and outputs of a traced function as JSON text, as a span tells them. Nothing here fails, and nothing is consumed.

As in prompt flow an image is an object, a connection its name, and what JSON does not have is what `str` makes of it. So
much of a value is told at most as no reader of traces shows: a function may be given a whole index, each time it is called.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import enum
import json
import math
from typing import Any

#: Letters of one text, about. A value has at least so many as a number.
_MOST = 64 * 1024
_VALUE = 8
#: Pieces of a stream that are kept.
PIECES = 1000
_CUT = "…"


def text_of(value: Any) -> str:
    try:
        return json.dumps(_Telling().of(value), ensure_ascii=False)
    except Exception:
        return json.dumps(_said(value))


def inputs_of(names: list[str], args: tuple, kwargs: dict[str, Any], ignored: frozenset[str]) -> str:
    """Arguments by the names of the parameters."""
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return text_of({name: value for name, value in given.items() if name != "self" and name not in ignored})


def _said(value: Any) -> str:
    try:
        return str(value)[:_MOST]
    except Exception:
        return f"<{type(value).__name__}>"


class _Telling:
    def __init__(self) -> None:
        self.left = _MOST

    def of(self, value: Any) -> Any:
        kind = type(value)
        self.left -= _VALUE
        if kind in (int, bool) or value is None:
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        if isinstance(value, enum.Enum):
            return self.of(value.value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, collections.abc.Mapping):
            return self._object(value.items())
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value)
        return self._of_class(value)

    def _text(self, text: str) -> str:
        text = str.__str__(text)
        kept = text if len(text) <= self.left else text[: max(self.left, 0)] + _CUT
        self.left -= len(kept)
        return kept

    def _object(self, items: Any) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for key, value in items:
            if self.left <= 0:
                told[_CUT] = _CUT
                break
            told[self._text(key if isinstance(key, str) else _said(key))] = self.of(value)
        return told

    def _list(self, values: Any) -> list[Any]:
        told = []
        for value in values:
            if self.left <= 0:
                told.append(_CUT)
                break
            told.append(self.of(value))
        return told

    def _of_class(self, value: Any) -> Any:
        from promptflow.contracts.multimedia import PFBytes

        from . import connections, images

        if isinstance(value, PFBytes):
            return images.to_json(value)
        if connections.is_connection_class(type(value)):
            return getattr(value, "name", None) or type(value).__name__
        if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            return value.isoformat()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._object((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        dump = None if isinstance(value, type) else getattr(value, "model_dump", None) or getattr(value, "dict", None)
        return self.of(dump()) if callable(dump) else self._text(_said(value))
