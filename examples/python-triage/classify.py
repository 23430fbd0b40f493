import json
from dataclasses import dataclass
from pathlib import Path

from promptflow.core import tool

RULES = json.loads((Path(__file__).parent / "rules.json").read_text())


@dataclass
class Triage:
    team: str
    urgent: bool


@tool
def classify(ticket: str) -> Triage:
    words = ticket.lower()
    team = next((team for team, hints in RULES["teams"].items() if any(hint in words for hint in hints)), "general")
    return Triage(team=team, urgent=any(hint in words for hint in RULES["urgent"]))
