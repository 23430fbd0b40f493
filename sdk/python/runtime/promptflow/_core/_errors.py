"""Errors of prompt flow's core that packages of tools import."""

from promptflow.exceptions import ErrorTarget, SystemErrorException, UserErrorException, ValidationException


class UnexpectedError(SystemErrorException):
    pass


class NotSupported(UserErrorException):
    pass


class PackageToolNotFoundError(ValidationException):
    pass


class ToolLoadError(UserErrorException):
    def __init__(self, module=None, **kwargs):
        super().__init__(target=ErrorTarget.TOOL, module=module, **kwargs)


class ToolExecutionError(UserErrorException):
    """An exception of a tool, by the name of its node."""

    def __init__(self, *, node_name, module=None):
        self._node_name = node_name
        super().__init__(target=ErrorTarget.TOOL, module=module)

    @property
    def message(self):
        inner = self.inner_exception
        return f"{self._message.removesuffix('.')}: ({type(inner).__name__}) {inner}" if inner else self._message

    @property
    def message_format(self):
        return "Execution failure in '{node_name}'."

    @property
    def message_parameters(self):
        return {"node_name": self._node_name}


class GenerateMetaUserError(UserErrorException):
    pass


class RunRecordNotFound(SystemErrorException):
    pass


class FlowOutputUnserializable(UserErrorException):
    pass
