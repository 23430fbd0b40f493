from dataclasses import dataclass, field
from typing import List, Optional


@dataclass
class Line:
    name: str
    count: int
    price: float

    @property
    def total(self):
        return self.count * self.price


@dataclass
class Invoice:
    number: int
    lines: List[Line] = field(default_factory=list)
    customer: Optional[str] = None
    total: float = 0.0

    def __post_init__(self):
        self.total = round(sum(line.total for line in self.lines), 2)
