"""`@tool`, and what describes a tool's inputs to an editor."""

import inspect
from abc import ABC
from dataclasses import InitVar, dataclass, field
from enum import Enum
from typing import Callable, Dict, List, Union

from promptflow.tracing._trace import TraceType, traced

STREAMING_OPTION_PARAMETER_ATTR = "_streaming_option_parameter"
INPUTS_TO_ESCAPE_PARAM_KEY = "_inputs_to_escape"


class ToolType(str, Enum):
    LLM = "llm"
    PYTHON = "python"
    CSHARP = "csharp"
    PROMPT = "prompt"
    _ACTION = "action"
    CUSTOM_LLM = "custom_llm"


TOOL_TYPE_TO_ESCAPE = [ToolType.LLM, ToolType.CUSTOM_LLM, ToolType.PROMPT]


class ToolInvoker(ABC):
    """What calls tools. Here the host does: there is never an active one."""

    def invoke_tool(self, f, *args, **kwargs):
        return f(*args, **kwargs)

    @classmethod
    def activate(cls, tool_invoker):
        return None

    @classmethod
    def deactivate(cls):
        return None

    @classmethod
    def active_instance(cls):
        return None


def tool(
    func=None, *, name=None, description=None, type=None, input_settings=None, streaming_option_parameter=None, **kwargs
) -> Callable:
    """Marks a function as a tool. With or without arguments."""

    def decorate(function: Callable) -> Callable:
        from promptflow.exceptions import UserErrorException

        if type is not None and type not in [kind.value for kind in ToolType]:
            raise UserErrorException(f"Tool type {type} is not supported yet.")
        marked = traced(function, trace_type=TraceType.FUNCTION)
        # Set by name: written as attributes inside a class they would be mangled.
        for key, value in {
            "__tool": None,
            "__name": name,
            "__description": description,
            "__type": type,
            "__input_settings": input_settings,
            "__extra_info": kwargs,
        }.items():
            setattr(marked, key, value)
        if isinstance(streaming_option_parameter, str):
            setattr(marked, STREAMING_OPTION_PARAMETER_ATTR, streaming_option_parameter)
        return marked

    return decorate if func is None else decorate(func)


def parse_all_args(argnames, args, kwargs) -> dict:
    return dict(zip(argnames, args, strict=False)) | kwargs


class ToolProvider(ABC):
    """The base of classes whose methods are tools. What the constructor takes are inputs of each."""

    _initialize_inputs = None
    _required_initialize_inputs = None
    _instance_init_params = None

    def __new__(cls, *args, **kwargs):
        cls._instance_init_params = parse_all_args(cls.get_initialize_inputs().keys(), args, kwargs)
        return super().__new__(cls)

    def __init__(self):
        self._init_params = self._instance_init_params

    @classmethod
    def get_initialize_inputs(cls):
        if not cls._initialize_inputs:
            parameters = inspect.signature(cls.__init__).parameters
            cls._initialize_inputs = {name: value for name, value in parameters.items() if name != "self"}
        return cls._initialize_inputs

    @classmethod
    def get_required_initialize_inputs(cls):
        if not cls._required_initialize_inputs:
            cls._required_initialize_inputs = {
                name: value
                for name, value in cls.get_initialize_inputs().items()
                if value.default is inspect.Parameter.empty
            }
        return cls._required_initialize_inputs


@dataclass
class DynamicList:
    """A list of choices that an editor asks a function for. Of no use at run time."""

    function: InitVar[Union[str, Callable]]
    input_mapping: InitVar[Dict] = None
    func_path: str = field(init=False, default="")
    func_kwargs: List = field(init=False, default_factory=list)

    def __post_init__(self, function, input_mapping):
        self._func_obj, self._input_mapping = function, input_mapping or {}


@dataclass
class GeneratedBy:
    """An input that an editor fills in by a function. Of no use at run time."""

    function: InitVar[Union[str, Callable]]
    reverse_function: InitVar[Union[str, Callable]]
    input_settings: InitVar[Dict[str, object]] = None
    func_path: str = field(init=False, default="")
    func_kwargs: List = field(init=False, default_factory=list)
    reverse_func_path: str = field(init=False, default="")

    def __post_init__(self, function, reverse_function, input_settings):
        self._func_obj, self._reverse_func_obj, self._input_settings = function, reverse_function, {}


@dataclass(init=False)
class InputSetting:
    """How an editor shows an input. Of no use at run time."""

    is_multi_select: bool = None
    allow_manual_entry: bool = None
    enabled_by: str = None
    enabled_by_value: List = None
    dynamic_list: DynamicList = None
    generated_by: GeneratedBy = None

    def __init__(self, **kwargs):
        for name in self.__dataclass_fields__:
            setattr(self, name, kwargs.pop(name, None))
        self._kwargs = kwargs
