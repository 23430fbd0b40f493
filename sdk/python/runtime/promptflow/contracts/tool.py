"""Names of types."""

from enum import Enum

from promptflow._core.tool import ToolType  # noqa: F401


class ValueType(str, Enum):
    INT = "int"
    DOUBLE = "double"
    BOOL = "bool"
    STRING = "string"
    SECRET = "secret"
    PROMPT_TEMPLATE = "prompt_template"
    LIST = "list"
    OBJECT = "object"
    FILE_PATH = "file_path"
    IMAGE = "image"
    ASSISTANT_DEFINITION = "assistant_definition"

    @staticmethod
    def from_value(value):
        for kind, name in ((bool, ValueType.BOOL), (int, ValueType.INT), (float, ValueType.DOUBLE),
                           (str, ValueType.STRING), (list, ValueType.LIST)):  # fmt: skip
            if isinstance(value, kind):
                return name
        return ValueType.OBJECT
