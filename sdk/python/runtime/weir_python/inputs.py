"""The JSON of a run's inputs as the values that a function expects.

Within one process prompt flow hands Python objects from node to node; here all values cross as JSON. What loses its
class on the way gets it back where that is unambiguous:

| JSON | and the parameter | becomes |
| --- | --- | --- |
| an image object of the flow's message format, at any depth | any | `Image` |
| text | a class of connection | the connection of that name |
| text | `Secret`, `PromptTemplate`, `FilePath` | that |
| an object | a dataclass | an instance (tools only: the JSON of a request reaches a flex flow as it is) |
| text | `datetime`, `date` | that, if it is one in ISO form (tools only) |
| a list | `tuple`, `set` | that (tools only) |
| an object | a model configuration | that |
| all else | | stays what it is: annotations convert nothing, as in prompt flow |
"""

from __future__ import annotations

import dataclasses
import datetime
import inspect
import typing
from typing import Any

from . import connections, images
from .entries import Entry
from .signature import members, named, resolved


class InputFailed(Exception):
    """An input that cannot be made into what the function takes. `code` is prompt flow's name of the failure."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def arguments(entry: Entry, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an entry's class is made with, and what its function is called with."""
    function = resolved(entry.function)
    own = {} if entry.owner is None or entry.flex else named(resolved(entry.owner.__init__), method=True)
    known = named(function, method=entry.owner is not None)
    if entry.flex and not _takes_more(function):
        given = {name: value for name, value in given.items() if name in known}
    values = {name: convert(name, value, (own | known).get(name), entry) for name, value in given.items()}
    made = {name: value for name, value in values.items() if name in own}
    return made, {name: value for name, value in values.items() if name not in own}


def _takes_more(signature: inspect.Signature) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())


def convert(name: str, value: Any, parameter: inspect.Parameter | None, entry: Entry) -> Any:
    kinds = [] if parameter is None else members(parameter.annotation)[0]
    if isinstance(value, str) and any(connections.is_connection_class(kind) for kind in kinds):
        return connections.get(value, kinds)
    try:
        if images.is_image_kind(kinds):
            return images.to_image(value)
        value = images.revive(value)
    except Exception as error:
        message = f"Failed to load image for input '{name}': ({type(error).__name__}) {error}"
        raise InputFailed("LoadMultimediaDataError", message) from error
    if len(kinds) != 1:
        return value
    return _typed(kinds[0], value, name, revive=not entry.flex)


def _typed(kind: Any, value: Any, name: str, revive: bool) -> Any:
    from promptflow.contracts.types import AssistantDefinition, FilePath, PromptTemplate, Secret
    from promptflow.core._model_configuration import ModelConfiguration

    plain = typing.get_origin(kind) or kind
    if not isinstance(plain, type):
        return value
    if plain in (Secret, PromptTemplate, FilePath) and isinstance(value, str):
        return plain(value)
    if plain is AssistantDefinition and isinstance(value, str):
        return _assistant(value, name)
    if issubclass(plain, ModelConfiguration) and isinstance(value, dict):
        return plain(**value)
    return from_json(kind, value) if revive else value


def from_json(kind: Any, value: Any) -> Any:
    """A value of a class that JSON has not, from the JSON that outputs.py makes of it."""
    plain = typing.get_origin(kind) or kind
    if not isinstance(plain, type) or value is None:
        return value
    if dataclasses.is_dataclass(plain) and isinstance(value, dict):
        return _dataclass(plain, value)
    if plain in (datetime.datetime, datetime.date) and isinstance(value, str):
        try:
            return plain.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, list) and plain in (tuple, set, frozenset):
        return plain(value)
    inner = typing.get_args(kind)
    if isinstance(value, list) and plain is list and inner:
        return [from_json(inner[0], item) for item in value]
    if isinstance(value, dict) and plain is dict and len(inner) == 2:
        return {key: from_json(inner[1], item) for key, item in value.items()}
    return value


def _dataclass(kind: type, value: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    if not set(value) <= fields:
        return value
    try:
        return kind(**{name: from_json(hints.get(name), item) for name, item in value.items()})
    except TypeError:
        return value


def _assistant(path: str, name: str) -> Any:
    from promptflow._utils.yaml_utils import load_yaml
    from promptflow.contracts.types import AssistantDefinition

    try:
        with open(path, encoding="utf-8") as file:
            return AssistantDefinition.deserialize(load_yaml(file))
    except Exception as error:
        message = f"Failed to load assistant definition from input '{name}': ({type(error).__name__}) {error}"
        raise InputFailed("NodeInputValidationError", message) from error
