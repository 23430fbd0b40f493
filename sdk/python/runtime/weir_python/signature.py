"""What a function takes and gives, as JSON Schema: the answer of `describe`, see wit/handler.wit.

Types are read as prompt flow reads them (`promptflow/_utils/tool_utils.py`): from the annotation, without one from the
default. Beside the schema's own words each property has what only prompt flow knows:

| word | is |
| --- | --- |
| `x-promptflow-type` | prompt flow's name of the type, which says how a literal of the flow file is read: `object` tries it as JSON and keeps the text otherwise, and is what a parameter without annotation has |
| `x-weir-connection` | the classes of connection that it takes: a literal is the name of one, and grants it |
| `x-weir-model-configuration` | of `init`: an object with a model and the name of a connection, which is granted |
"""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import dataclasses
import datetime
import enum
import functools
import inspect
import json
import re
import sys
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Any

from .archive import ARCHIVE, FLOW
from .entries import Entry, original

DRAFT = "https://json-schema.org/draft/2020-12/schema"

#: A prompty whose model streams.
_STREAMING = re.compile(rb"(?mi)\bstream\s*:\s*true\b")

_STREAMS = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)
_STREAM_OR_VALUE = (collections.abc.Iterable, collections.abc.AsyncIterable)


def describe(entry: Entry) -> dict[str, Any]:
    """Raises whatever a module's own annotations raise."""
    function = entry.original
    signature = resolved(function)
    parameters = named(signature, method=entry.owner is not None)
    summary = inspect.getdoc(function) or (inspect.getdoc(entry.owner) if entry.flex and entry.owner else None)
    description: dict[str, Any] = {"name": function.__qualname__}
    if summary:
        description["summary"] = summary.strip().split("\n\n")[0].replace("\n", " ")
    if entry.owner is not None:
        own = named(resolved(entry.owner.__init__), method=True)
        if entry.flex:
            description["init"] = schema_of(own, _open(resolved(entry.owner.__init__)))
        else:
            parameters = own | parameters
    # What an entry of a flex flow does not know is dropped before it is called; a tool is called with all it is given.
    description["inputs"] = schema_of(parameters, entry.flex or _open(signature))
    returned = signature.return_annotation
    description["output"] = {"$schema": DRAFT, **output_schema(returned)}
    description["streams"] = streams(function, returned)
    return description


@functools.cache
def resolved(function: Callable[..., Any]) -> inspect.Signature:
    """The signature, with annotations that are text evaluated where that is possible.

    Kept, since a description is made while the component is built: a run finds it in the snapshot.
    """
    function = original(function)
    try:
        return inspect.signature(function, eval_str=True)
    except Exception:
        return inspect.signature(function)


def named(signature: inspect.Signature, method: bool) -> dict[str, inspect.Parameter]:
    """The parameters that an input can be for."""
    parameters = list(signature.parameters.values())
    if method and parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    spread = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {parameter.name: parameter for parameter in parameters if parameter.kind not in spread}


def _open(signature: inspect.Signature) -> bool:
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in signature.parameters.values())


def schema_of(parameters: dict[str, inspect.Parameter], takes_more: bool) -> dict[str, Any]:
    required = [name for name, parameter in parameters.items() if parameter.default is inspect.Parameter.empty]
    schema: dict[str, Any] = {
        "$schema": DRAFT,
        "type": "object",
        "properties": {name: property_of(parameter) for name, parameter in parameters.items()},
    }
    if required:
        schema["required"] = required
    if takes_more:
        schema["additionalProperties"] = True
    return schema


def property_of(parameter: inspect.Parameter) -> dict[str, Any]:
    annotation, default = parameter.annotation, parameter.default
    if annotation is inspect.Parameter.empty and default is not inspect.Parameter.empty and default is not None:
        annotation = type(default)
    schema = type_schema(annotation)
    if default is not inspect.Parameter.empty:
        plain = default.value if isinstance(default, enum.Enum) else default
        with contextlib.suppress(TypeError, ValueError):
            schema["default"] = json.loads(json.dumps(plain, allow_nan=False))
    return schema


def members(annotation: Any) -> tuple[list[Any], bool]:
    """The types that an annotation allows, and whether None is one of them."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arguments = typing.get_args(annotation)
        return [argument for argument in arguments if argument is not type(None)], type(None) in arguments
    return [annotation], False


def type_schema(annotation: Any) -> dict[str, Any]:
    """The schema of one parameter. What cannot be said is left out: `{}` takes anything."""
    kinds, nullable = members(annotation)
    schema = _one(kinds[0]) if len(kinds) == 1 else _several(kinds)
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _several(kinds: list[Any]) -> dict[str, Any]:
    each = [_one(kind) for kind in kinds]
    connections = [name for schema in each for name in schema.get("x-weir-connection", [])]
    if connections and all("x-weir-connection" in schema for schema in each):
        return {"type": "string", "x-promptflow-type": connections[0], "x-weir-connection": connections}
    return {"x-promptflow-type": "object"}


def _one(annotation: Any) -> dict[str, Any]:
    from promptflow.contracts.multimedia import Image
    from promptflow.contracts.types import AssistantDefinition, FilePath, PromptTemplate, Secret
    from promptflow.core._model_configuration import ModelConfiguration

    from .connections import is_connection_class

    names = {int: ("integer", "int"), float: ("number", "double"), bool: ("boolean", "bool"), str: ("string", "string"),
             list: ("array", "list"), dict: ("object", "object"), Secret: ("string", "secret"),
             PromptTemplate: ("string", "prompt_template"), FilePath: ("string", "file_path"),
             AssistantDefinition: ("string", "assistant_definition")}  # fmt: skip
    plain = typing.get_origin(annotation) or annotation
    if annotation in names:
        json_type, flow_type = names[annotation]
        return {"type": json_type, "x-promptflow-type": flow_type}
    if annotation is Image:
        return {"x-promptflow-type": "image"}
    if plain is typing.Literal:
        return {"enum": list(typing.get_args(annotation)), "x-promptflow-type": "object"}
    if not isinstance(plain, type):
        return {"x-promptflow-type": "object"}
    if is_connection_class(plain):
        return {"type": "string", "x-promptflow-type": plain.__name__, "x-weir-connection": [plain.__name__]}
    if issubclass(plain, ModelConfiguration):
        return {"type": "object", "x-promptflow-type": plain.__name__, "x-weir-model-configuration": plain.__name__}
    if issubclass(plain, enum.Enum):
        values = [str(option.value) for option in plain]
        return {"type": "string", "enum": values, "x-promptflow-type": "string"}
    # Literals of such parameters are read as `object`, which for a list's or a mapping's text comes to the same.
    if issubclass(plain, dict) or dataclasses.is_dataclass(plain) or plain is collections.abc.Mapping:
        return {"type": "object", "x-promptflow-type": "object"}
    if issubclass(plain, (list, tuple, set, frozenset)) or plain is collections.abc.Sequence:
        return {"type": "array", "x-promptflow-type": "object"}
    if issubclass(plain, str):
        return {"type": "string", "x-promptflow-type": "object"}
    return {"x-promptflow-type": "object"}


def output_schema(annotation: Any) -> dict[str, Any]:
    """The schema of what a function gives, or of one chunk where it streams."""
    kinds, nullable = members(annotation)
    if len(kinds) != 1:
        return {}
    kind = kinds[0]
    plain = typing.get_origin(kind) or kind
    if plain in _STREAMS or plain in _STREAM_OR_VALUE:
        arguments = typing.get_args(kind)
        return output_schema(arguments[0]) if arguments else {}
    if isinstance(plain, type) and dataclasses.is_dataclass(plain):
        return _object({field.name: field.type for field in dataclasses.fields(plain)})
    if isinstance(plain, type) and issubclass(plain, dict) and getattr(plain, "__annotations__", None):
        return _object(typing.get_type_hints(plain))
    if plain in (datetime.datetime, datetime.date):
        return {"type": "string"}
    words = ("type", "enum")
    schema = {word: said for word, said in _one(kind).items() if word in words}
    if nullable and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _object(fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: output_schema(kind) for name, kind in fields.items()}}


def streams(function: Callable[..., Any], annotation: Any) -> bool:
    """Whether a function may answer with a stream: it is a generator, it says so, or it makes one somewhere inside.

    The last is a guess from its source, on the side of yes: a node that is said to stream and does not costs nothing.
    An annotation such as `str` proves nothing, since flows write it where a prompty streams text.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return True
    plain = typing.get_origin(annotation) or annotation
    if plain in _STREAMS or plain in _STREAM_OR_VALUE:
        return True
    tree = _source_of(function)
    if tree is None:
        return False
    says_otherwise = plain not in (inspect.Parameter.empty, object, typing.Any)
    if not says_otherwise and makes_generators(tree):
        return True
    return any(_asks_for_stream(node) for node in ast.walk(tree)) or _may_use_streaming_prompty(function)


def _source_of(function: Callable[..., Any]) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        return None


def makes_generators(tree: ast.AST) -> bool:
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None]
    if any(isinstance(value, ast.GeneratorExp) for value in returned):
        return True
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(tree))


def _may_use_streaming_prompty(function: Callable[..., Any]) -> bool:
    """Whether the function's module uses prompties, and the flow has one that streams."""
    module = sys.modules.get(function.__module__)
    if not any(name in vars(module or object) for name in ("Prompty", "AsyncPrompty")):
        return False
    prompties = [path for path in ARCHIVE if path.startswith(FLOW) and path.endswith(".prompty")]
    return any(_STREAMING.search(ARCHIVE.read(path)) for path in prompties)


def _asks_for_stream(node: ast.AST) -> bool:
    """`stream=True`, or `{"stream": True}`."""
    if isinstance(node, ast.keyword):
        return node.arg == "stream" and _is(node.value, True)
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(key is not None and _is(key, "stream") and _is(value, True) for key, value in pairs)
    return False


def _is(node: ast.AST, value: Any) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and node.value == value
