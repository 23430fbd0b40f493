"""The exceptions of prompt flow, by whose classes the caller's status is chosen: see weir_python/failure.py."""

import string
from enum import Enum
from functools import cached_property


class ErrorCategory(str, Enum):
    USER_ERROR = "UserError"
    SYSTEM_ERROR = "SystemError"
    UNKNOWN = "Unknown"


class ErrorTarget(str, Enum):
    """The part of the system in which an error occurs."""

    EXECUTOR = "Executor"
    BATCH = "Batch"
    CORE = "Core"
    FLOW_EXECUTOR = "FlowExecutor"
    NODE_EXECUTOR = "NodeExecutor"
    TOOL = "Tool"
    AZURE_RUN_STORAGE = "AzureRunStorage"
    RUNTIME = "Runtime"
    UNKNOWN = "Unknown"
    RUN_TRACKER = "RunTracker"
    RUN_STORAGE = "RunStorage"
    CONTROL_PLANE_SDK = "ControlPlaneSDK"
    SERVING_APP = "ServingApp"
    FLOW_INVOKER = "FlowInvoker"
    FUNCTION_PATH = "FunctionPath"


class PromptflowException(Exception):
    """The base of all. `message_format` is filled in from the other keyword arguments if there is no `message`."""

    def __init__(
        self, message="", message_format="", target=ErrorTarget.UNKNOWN, module=None, privacy_info=None, **kwargs
    ):
        self._inner_exception = kwargs.get("error")
        self._target = target
        self._module = module
        self._message_format = message_format
        self._privacy_info = privacy_info
        self._kwargs = kwargs
        if message:
            self._message = str(message)
        elif self.message_format:
            self._message = self.message_format.format(**self.message_parameters)
        else:
            self._message = self.__class__.__name__
        super().__init__(self._message)

    @property
    def message(self):
        return self._message

    @property
    def message_format(self):
        return self._message_format

    @cached_property
    def message_parameters(self):
        if not self._kwargs:
            return {}
        wanted = self.get_arguments_from_message_format(self.message_format)
        return {name: self._kwargs.get(name, f"<{name}>") for name in wanted}

    @cached_property
    def serializable_message_parameters(self):
        return {name: str(value) for name, value in self.message_parameters.items()}

    @property
    def target(self):
        return self._target

    @target.setter
    def target(self, value):
        self._target = value

    @property
    def module(self):
        return self._module

    @module.setter
    def module(self, value):
        self._module = value

    @property
    def reference_code(self):
        target = self.target.value if isinstance(self.target, ErrorTarget) else self.target
        return f"{target}/{self.module}" if self.module else target

    @property
    def inner_exception(self):
        return self._inner_exception or self.__cause__

    @property
    def additional_info(self):
        return None

    @property
    def error_codes(self):
        """The classes from `UserError` or `SystemError` down to this one."""
        if getattr(self, "_error_codes", None):
            return self._error_codes
        classes = self.__class__.__mro__
        own = classes[: classes.index(PromptflowException)]
        self._error_codes = [infer_error_code_from_class(kind) for kind in reversed(own)]
        return self._error_codes

    def get_arguments_from_message_format(self, message_format):
        if not message_format:
            return set()
        return {name for _, name, _, _ in string.Formatter().parse(message_format) if name is not None}

    def __str__(self):
        return self.message


class UserErrorException(PromptflowException):
    """Whoever called has to act."""


class SystemErrorException(PromptflowException):
    """The service has to act."""


class ValidationException(UserErrorException):
    """Something did not pass a check."""


def infer_error_code_from_class(kind):
    return {
        UserErrorException: "UserError",
        SystemErrorException: "SystemError",
        ValidationException: "ValidationError",
    }.get(kind, kind.__name__)
