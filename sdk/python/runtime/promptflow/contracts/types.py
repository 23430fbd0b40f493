"""Types by which a parameter says what it is."""

from dataclasses import dataclass
from typing import Any, List


class Secret(str):
    """A secret."""

    def set_secret_name(self, name):
        self.secret_name = name


class PromptTemplate(str):
    """The template of a prompt."""


class FilePath(str):
    """The path of a file of the flow folder."""


@dataclass
class AssistantDefinition:
    """An assistant: its model, its instructions and the tools that it may use."""

    model: str
    instructions: str
    tools: List

    @staticmethod
    def deserialize(data: dict) -> "AssistantDefinition":
        return AssistantDefinition(data.get("model", ""), data.get("instructions", ""), data.get("tools", []))

    def serialize(self):
        return {"model": self.model, "instructions": self.instructions, "tools": self.tools}

    def __post_init__(self):
        self._tool_invoker = None


class AttrDict(dict):
    """A dictionary whose keys are attributes."""

    def __getattr__(self, key: str) -> Any:
        return self[key]

    def __setattr__(self, key: str, value: Any) -> None:
        self[key] = value
