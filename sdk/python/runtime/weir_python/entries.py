"""Which function an entry means, and how it is called.

`WEIR_ENTRY` is one of

| entry | is |
| --- | --- |
| `classify.py` | the one `@tool` of a file of the flow folder |
| `classify.py:score` | the tool of that name, where a file has several |
| `module:function`, `pkg.module:Class` | the entry of a flex flow |
| `module:Class#aggregate` | its `__aggregate__`, over all lines of a batch |

Rules and texts are prompt flow's own (`promptflow/_core/tool_meta_generator.py`, `executor/_script_executor.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .archive import ARCHIVE, FLOW, Loader

AGGREGATE = "#aggregate"


class EntryError(Exception):
    """An entry that is not what it should be. `code` is prompt flow's name of the failure."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


@dataclass
class Entry:
    """A function that a run calls."""

    name: str
    #: What is called with the inputs: the function of a tool, or a class's `__call__` or `__aggregate__`.
    function: Callable[..., Any]
    #: The class whose instance it is called on; its parameters are inputs of a tool, or the `init` of a flex flow.
    owner: type | None = None
    #: Whether it is the entry of a flex flow, which is called with what it knows and named in failures.
    flex: bool = False
    aggregates: bool = False
    #: Instances of `owner`, by what they were made with: where instances are reused, one is made once.
    instances: dict[str, Any] = field(default_factory=dict)
    #: What is known of its parameters: see inputs.py.
    plan: Any = None
    #: Whether its modules have asked, as they were imported, for what is another at each run: then each run imports
    #: them. Variables, see environment.py; the time and chance, see volatile.py.
    is_of_its_run: bool = False

    @property
    def original(self) -> Callable[..., Any]:
        """The function as the flow wrote it, without decorators of ours."""
        return original(self.function)


def original(function: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(function, "__original_function", function)


def load(name: str) -> Entry:
    """Imports what `name` means. Raises EntryError, or whatever the module itself raises."""
    plain, aggregate = (name[: -len(AGGREGATE)], True) if name.endswith(AGGREGATE) else (name, False)
    path, _, tool = plain.partition(":")
    if path.endswith(".py"):
        return _load_tool(name, path, tool)
    return _load_flex(name, path, tool, aggregate)


def aggregation(entry: Entry) -> str | None:
    """The name of the entry that is its `__aggregate__`, if it is a class that has one."""
    has_one = entry.flex and not entry.aggregates and hasattr(entry.owner, "__aggregate__")
    return entry.name + AGGREGATE if has_one else None


def import_file(path: str) -> types.ModuleType:
    """The module of a file of the flow folder, under a name that no import finds: a file may be called `json.py`."""
    name = "__pf_main__" + re.sub(r"\W", "_", path.removesuffix(".py"))
    if name in sys.modules:
        return sys.modules[name]
    full = f"{FLOW}/{path}"
    if not ARCHIVE.is_file(full):
        raise EntryError("InvalidSource", f"Tool file '{path}' can not be found.")
    spec = importlib.util.spec_from_file_location(name, full, loader=Loader(name, full, ARCHIVE))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_tool(name: str, path: str, tool: str) -> Entry:
    module = import_file(path)
    tools = collect_tools(module)
    if tool:
        tools = [found for found in tools if tool in (found[0].__name__, found[0].__qualname__)]
        if not tools:
            raise EntryError("NoToolDefined", f"No tool {tool!r} found in the python script {path!r}.")
    if not tools:
        raise EntryError(
            "NoToolDefined",
            "No tool found in the python script. "
            "Please make sure you have one and only one tool definition in your script.",
        )
    if len(tools) > 1:
        names = ", ".join(function.__name__ for function, _ in tools)
        raise EntryError(
            "MultipleToolsDefined",
            f"Expected 1 but collected {len(tools)} tools: {names}. "
            "Please make sure you have one and only one tool definition in your script.",
        )
    function, owner = tools[0]
    return Entry(name, function, owner)


def is_tool(value: Any) -> bool:
    return isinstance(value, types.FunctionType) and hasattr(value, "__tool")


def collect_tools(module: types.ModuleType) -> list[tuple[Callable[..., Any], type | None]]:
    """The tools that a module defines itself: functions, and methods of its `ToolProvider` classes with their class."""
    from promptflow._core.tool import ToolProvider

    def own(value: Any) -> bool:
        return getattr(value, "__module__", "") == module.__name__

    members = [value for _, value in inspect.getmembers(module)]
    functions = [(value, None) for value in members if is_tool(value) and own(value)]
    classes = [value for value in members if isinstance(value, type) and issubclass(value, ToolProvider) and own(value)]
    methods = [(method, owner) for owner in classes for _, method in inspect.getmembers(owner) if is_tool(method)]
    return functions + methods


def _load_flex(name: str, module_name: str, member: str, aggregate: bool) -> Entry:
    if not module_name or not member:
        raise EntryError(
            "InvalidFlexFlowEntry",
            f"Invalid entry '{name}'. The entry should be in the format of 'module:function' or 'module:Class'.",
        )
    module = importlib.import_module(module_name)
    found = getattr(module, member, None)
    if inspect.isclass(found):
        method = getattr(found, "__aggregate__" if aggregate else "__call__", None)
        if method is None and not aggregate:
            raise EntryError("PythonLoadError", f"Python class entry '{member}' does not have __call__ method.")
        if method is None:
            raise EntryError(
                "InvalidAggregationFunction", f"Python class entry '{member}' does not have __aggregate__ method."
            )
        if aggregate and len(inspect.signature(method).parameters) != 2:
            # Itself, and what the lines gave.
            raise EntryError("InvalidAggregationFunction", "The __aggregate__ method should have only one parameter.")
        return Entry(name, method, found, flex=True, aggregates=aggregate)
    if not inspect.isfunction(found) or aggregate:
        raise EntryError(
            "PythonLoadError", f"Failed to load python function '{member}' from file '{module_name}', got {found}."
        )
    return Entry(name, found, flex=True)
