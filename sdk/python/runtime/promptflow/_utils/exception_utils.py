"""Names of errors."""

from promptflow.exceptions import infer_error_code_from_class  # noqa: F401


class RootErrorCode:
    USER_ERROR = "UserError"
    SYSTEM_ERROR = "SystemError"
