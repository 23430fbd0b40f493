"""The JSON of a run's inputs as the values that a function expects.

Within one process prompt flow hands Python objects from node to node; here all values cross as JSON. What loses its
class on the way gets it back where that is unambiguous:

| JSON | and the parameter | becomes |
| --- | --- | --- |
| an image object of the flow's message format, at any depth | any | `Image` |
| `{"x-weir-chunks": [...]}`: what another node in Python has streamed | any | a generator, or what its annotation says |
| text | a class of connection | the connection of that name |
| text | `Secret`, `PromptTemplate`, `FilePath` | that |
| an object | a dataclass | an instance (tools only: the JSON of a request reaches a flex flow as it is) |
| text | `datetime`, `date` | that, if it is one in ISO form (tools only) |
| a list | `tuple`, `set` | that (tools only) |
| an object | a model configuration | that |
| a list | the one of an `__aggregate__` | a list, whose objects have their members as attributes too |
| all else | | stays what it is: annotations convert nothing, as in prompt flow |
"""

from __future__ import annotations

import collections.abc
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


@dataclasses.dataclass
class Plan:
    """What is known of an entry's parameters before a run. Made while the component is built: a run only looks up."""

    #: Names of inputs for the constructor of a tool's class.
    own: frozenset[str]
    #: Names that an entry of a flex flow knows: others are dropped. None: all are taken.
    known: frozenset[str] | None
    converters: dict[str, Converter]
    #: The same for what the flow was initialised with.
    init: dict[str, Converter]


def plan(entry: Entry) -> Plan:
    function = resolved(entry.function)
    parameters = named(function, method=entry.owner is not None)
    made = {} if entry.owner is None else named(resolved(entry.owner.__init__), method=True)
    own = {} if entry.flex else made
    takes_more = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in function.parameters.values())
    revive = not entry.flex
    return Plan(
        own=frozenset(own),
        known=frozenset(parameters) if entry.flex and not takes_more else None,
        converters={name: Converter(name, parameter, revive) for name, parameter in (own | parameters).items()},
        init={name: Converter(name, parameter, revive) for name, parameter in made.items()},
    )


def arguments(entry: Entry, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an entry's class is made with, and what its function is called with."""
    known = entry.plan = entry.plan or plan(entry)
    if known.known is not None:
        given = {name: value for name, value in given.items() if name in known.known}
    values = {name: converted(known.converters.get(name), name, value) for name, value in given.items()}
    if entry.aggregates:
        values = {name: _lines(value) for name, value in values.items()}
    if not known.own:
        return {}, values
    made = {name: values.pop(name) for name in known.own & values.keys()}
    return made, values


def _lines(results: Any) -> Any:
    """What the lines of a batch gave, as prompt flow hands it to an `__aggregate__`."""
    from promptflow._utils.utils import AttrDict

    if not isinstance(results, list):
        return results
    return [AttrDict(result) if isinstance(result, dict) else result for result in results]


def init_arguments(entry: Entry, given: dict[str, Any]) -> dict[str, Any]:
    """What the class of a flex flow is made with."""
    known = entry.plan = entry.plan or plan(entry)
    return {name: converted(known.init.get(name), name, value) for name, value in given.items()}


#: The key of an object that stands for a stream: see host/src/flow/given.rs.
_CHUNKS = "x-weir-chunks"

_ASYNCHRONOUS = (collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator)


def _generator(chunks: list[Any], kinds: list[Any]) -> Any:
    """A stream that is over, item by item: prompt flow hands on the generator itself."""
    if any((typing.get_origin(kind) or kind) in _ASYNCHRONOUS for kind in kinds):
        return _asynchronous(chunks)
    return (chunk for chunk in chunks)


async def _asynchronous(chunks: list[Any]) -> typing.AsyncIterator[Any]:
    for chunk in chunks:
        yield chunk


def converted(converter: Converter | None, name: str, value: Any) -> Any:
    if type(value) is dict and value.keys() == {_CHUNKS}:
        return _generator(_revived(name, value[_CHUNKS]), converter.kinds if converter is not None else [])
    if converter is not None:
        return converter(value)
    return value if type(value) in _PLAIN else _revived(name, value)


#: Values that no annotation but those of a converter changes.
_PLAIN = frozenset({str, int, float, bool, type(None)})


def _revived(name: str, value: Any) -> Any:
    try:
        return images.revive(value)
    except Exception as error:
        raise _not_loaded(name, error) from error


def _not_loaded(name: str, error: Exception) -> InputFailed:
    return InputFailed(
        "LoadMultimediaDataError", f"Failed to load image for input '{name}': ({type(error).__name__}) {error}"
    )


class Converter:
    """Makes the JSON of one input into what its parameter expects."""

    def __init__(self, name: str, parameter: inspect.Parameter, revive: bool):
        kinds = members(parameter.annotation)[0]
        self.name = name
        self.kinds = kinds
        self.is_connection = any(connections.is_connection_class(kind) for kind in kinds)
        self.is_image = images.is_image_kind(kinds)
        self.typed = len(kinds) == 1 and kinds[0] is not inspect.Parameter.empty
        self.revive = revive
        #: Whether plain values stay what they are: nearly always.
        self.is_plain = not (self.is_connection or self.is_image) and (
            not self.typed or kinds[0] in (str, int, float, bool, list, dict)
        )

    def __call__(self, value: Any) -> Any:
        if self.is_plain and type(value) in _PLAIN:
            return value
        if self.is_connection and isinstance(value, str):
            return connections.get(value, self.kinds)
        if self.is_image:
            try:
                return images.to_image(value)
            except Exception as error:
                raise _not_loaded(self.name, error) from error
        value = _revived(self.name, value)
        return _typed(self.kinds[0], value, self.name, self.revive) if self.typed else value


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
