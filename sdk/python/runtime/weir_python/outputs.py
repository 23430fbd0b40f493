"""What a function gave, as JSON or as a stream.

| a function gives | becomes |
| --- | --- |
| a generator, an iterator, an async generator | a stream: each thing it yields is one chunk |
| a stream of a model's text that nobody has read yet | the same, passed on by the host itself |
| a generator inside an object | text: all it yields, joined |
| an image | an object of the flow's message format |
| a dataclass, an object with `model_dump`, `to_dict` or `serialize`, an instance of a class of the flow | an object |
| `datetime`, `date`, an enum, `Path`, `Decimal`, `set`, `tuple` | text, its value, text, text, a list, a list |
| NaN, Infinity | null: JSON has no other word |
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import json
import math
import os
import uuid
from typing import Any

from . import images
from .archive import FLOW


class NotSerializable(Exception):
    """A value that JSON cannot hold."""


#: What nearly all nodes give, and is no stream.
_PLAIN = frozenset({str, int, float, bool, type(None), dict, list, tuple})


def is_stream(value: Any) -> bool:
    return type(value) not in _PLAIN and isinstance(value, (collections.abc.Iterator, collections.abc.AsyncIterator))


def dumps(value: Any) -> str:
    """JSON text. Raises NotSerializable in prompt flow's words."""
    return json.dumps(to_json(value), ensure_ascii=False)


def to_json(value: Any) -> Any:
    # The plain types first, and by their exact class: nearly all values are of one of them.
    kind = type(value)
    if kind in (str, int, bool) or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is dict:
        return {_key(key): to_json(item) for key, item in value.items()}
    if kind in (list, tuple):
        return [to_json(item) for item in value]
    return _of_class(value)


def _key(key: Any) -> str:
    """A key of an object, as `json.dumps` writes it."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, enum.Enum):
        return str(key.value)
    if key is None or isinstance(key, (bool, int, float)):
        return json.dumps(key)
    raise _not(key, f"keys must be str, int, float, bool or None, not {type(key).__name__}")


def _of_class(value: Any) -> Any:
    from promptflow.contracts.multimedia import PFBytes, Text

    if isinstance(value, PFBytes):
        return images.to_json(value)
    if isinstance(value, Text) and images.message_format() == "openai-vision":
        return value.serialize()
    if isinstance(value, enum.Enum):
        return to_json(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return to_json(float(value) if isinstance(value, float) else int(value))
    if isinstance(value, collections.abc.Mapping):
        return {_key(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, collections.abc.KeysView, collections.abc.ValuesView)):
        return [to_json(item) for item in value]
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (os.PathLike, decimal.Decimal, uuid.UUID)):
        return str(value)
    if is_stream(value):
        return joined(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _by_method(value)


def _by_method(value: Any) -> Any:
    for method in ("model_dump", "to_dict", "serialize"):
        call = getattr(value, method, None)
        if callable(call) and not isinstance(value, type):
            return to_json(call())
    if getattr(value, "__dict__", None) and _is_of_flow(type(value)):
        return {name: to_json(item) for name, item in vars(value).items() if not name.startswith("_")}
    raise _not(value, f"Object of type {type(value).__name__} is not JSON serializable")


def _is_of_flow(kind: type) -> bool:
    import sys

    module = sys.modules.get(kind.__module__)
    return (getattr(module, "__file__", None) or "").startswith(FLOW + "/")


def _not(value: Any, reason: str) -> NotSerializable:
    return NotSerializable(
        f"The output value is not JSON serializable. JSON dump failed: (TypeError) {reason}. "
        "Please verify your flow output and make sure the value serializable."
    )


def joined(stream: Any) -> str:
    """All that a stream yields, as prompt flow joins it."""
    if isinstance(stream, collections.abc.AsyncIterator):
        from . import loop

        stream = loop.drain(stream)
    return "".join(str(chunk) for chunk in stream)
