"""Exceptions as the failures that the host knows, in prompt flow's words and with its blame.

| a node raises | blame | code | message |
| --- | --- | --- | --- |
| a `UserErrorException` of prompt flow | user | the innermost of its error codes | its own |
| any other exception of prompt flow | system | likewise | its own |
| anything else | user | `ToolExecutionError`, of a flex flow `ScriptExecutionError` | `Execution failure in 'NODE': (ValueError) …` |
| anything, once it streams | system | the class | its own |
"""

from __future__ import annotations

import posixpath
import re
import sys
import traceback
from typing import Any

from . import host
from .entries import Entry
from .inputs import InputFailed
from .outputs import NotSerializable

#: What the host allows of a code.
MAX_CODE = 64
#: Where the files of this runtime are.
_RUNTIME = posixpath.dirname(posixpath.dirname(__file__)) + "/"

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_.-]")


def code_of(name: str) -> str:
    return _FORBIDDEN.sub("_", name)[:MAX_CODE] or "NodeError"


def of(error: BaseException, entry: Entry | None, streaming: bool):
    """What the run raises for an exception of the node. Its traceback goes to standard error."""
    from promptflow.exceptions import PromptflowException, UserErrorException

    _show(error)
    if isinstance(error, InputFailed):
        return host.node_error(error.code, str(error), user=True)
    if isinstance(error, NotSerializable):
        return host.node_error("FlowOutputUnserializable", str(error), user=True)
    if isinstance(error, PromptflowException):
        codes = error.error_codes
        user = isinstance(error, UserErrorException)
        if entry is None or not entry.flex:
            return host.node_error(code_of(codes[-1] if codes else type(error).__name__), error.message, user)
    if streaming:
        return host.node_error(code_of(type(error).__name__), str(error), user=False)
    name = _name(entry)
    message = f"Execution failure in '{name}': ({type(error).__name__}) {error}"
    return host.node_error("ScriptExecutionError" if entry and entry.flex else "ToolExecutionError", message, user=True)


def _name(entry: Entry | None) -> str:
    """What prompt flow calls the place: the node, or the function of a flex flow."""
    return entry.original.__qualname__ if entry is not None and entry.flex else host.node_name()


def loading(entry: Entry, error: BaseException):
    """A module that cannot be imported with what this run is told."""
    _show(error)
    message = f"Failed to load python module from file '{entry.name}': ({type(error).__name__}) {error}"
    return host.node_error("PythonLoadError", message, user=True)


def initialization(init: dict[str, Any], error: BaseException):
    _show(error)
    message = f"Failed to initialize flow entry with '{init}', ex: {error}"
    return host.node_error("FlowEntryInitializationError", message, user=True)


def _show(error: BaseException) -> None:
    """The traceback without frames of this runtime, which say nothing to whoever wrote the node."""
    shown = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = shown
    while each is not None:
        each.stack[:] = [frame for frame in each.stack if not frame.filename.startswith(_RUNTIME)]
        each = each.__cause__ or each.__context__
    print("".join(shown.format()), file=sys.stderr, end="")
