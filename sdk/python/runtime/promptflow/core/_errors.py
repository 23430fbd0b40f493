"""Errors of prompties and model configurations."""

from promptflow.exceptions import ErrorTarget, SystemErrorException, UserErrorException

openai_error_code_ref_message = "Error reference: https://platform.openai.com/docs/guides/error-codes/api-errors"


def to_openai_error_message(error: Exception) -> str:
    """A failure of a model's service in prompt flow's words."""
    return f"OpenAI API hits {type(error).__name__}: {error} [{openai_error_code_ref_message}]"


class CoreError(UserErrorException):
    def __init__(self, message="", message_format="", target=ErrorTarget.CORE, module=None, **kwargs):
        super().__init__(message=message, message_format=message_format, target=target, module=module, **kwargs)


class CoreInternalError(SystemErrorException):
    pass


class RequiredEnvironmentVariablesNotSetError(CoreError):
    def __init__(self, env_vars: list, cls_name: str):
        super().__init__(f"Required environment variables {env_vars} to build {cls_name} not set.")


class InvalidConnectionError(CoreError):
    pass


class ConnectionNotFound(CoreError):
    pass


class UnknownConnectionType(UserErrorException):
    pass


class ChatAPIInvalidRoleError(CoreError):
    pass


class ChatAPIFunctionRoleInvalidFormat(CoreError):
    pass


class ChatAPIToolRoleInvalidFormat(CoreError):
    pass


class JinjaTemplateError(CoreError):
    pass


class MissingRequiredInputError(CoreError):
    pass


class InvalidOutputKeyError(CoreError):
    pass


class InvalidSampleError(CoreError):
    pass


class ToolValidationError(UserErrorException):
    pass


class ChatAPIInvalidFunctions(ToolValidationError):
    pass


class ChatAPIInvalidTools(ToolValidationError):
    pass


class LLMError(UserErrorException):
    pass


class WrappedOpenAIError(UserErrorException):
    """A failure of a model's service."""

    def __init__(self, ex: Exception, **kwargs):
        self._ex = ex
        super().__init__(**kwargs)

    @property
    def message(self):
        return to_openai_error_message(self._ex)

    @property
    def error_codes(self):
        return ["UserError", "OpenAIError", type(self._ex).__name__]


class ExceedMaxRetryTimes(WrappedOpenAIError):
    """A failure that did not pass although the host has tried again."""

    @property
    def message(self):
        return "Exceed max retry times. " + super().message
