import enum
from dataclasses import dataclass
from typing import Dict, List, Optional, Union

from promptflow.core import tool


class Level(str, enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Inner:
    x: int


@tool
def annotated(
    text: str,
    number: int = 3,
    ratio: float = 0.5,
    flag: bool = False,
    items: Optional[List[str]] = None,
    table: Dict[str, int] = None,
    level: Level = Level.LOW,
    any_value=None,
    either: Union[int, str] = 1,
):
    """Tells what it got."""
    values = [text, number, ratio, flag, items, table, level, any_value, either]
    return [f"{type(value).__name__}:{value!r}" if not isinstance(value, Level) else "Level" for value in values]
