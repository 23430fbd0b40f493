from enum import Enum, IntEnum

from promptflow.core import tool


class Case(str, Enum):
    UPPER = "upper"
    LOWER = "lower"


class Level(IntEnum):
    LOW = 1
    HIGH = 3


@tool
def style(text: str, case: Case = Case.LOWER, level: Level = Level.LOW) -> dict:
    text = text.upper() if case == Case.UPPER else text.lower()
    return {"text": text, "case": case, "default": Case.LOWER, "high": level == Level.HIGH, "level": Level(level)}
