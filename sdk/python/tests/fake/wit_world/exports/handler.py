"""As componentize-py makes it of the WIT, over the world of the test."""

from dataclasses import dataclass


@dataclass
class Output_Value:
    value: str


@dataclass
class Output_Emitted:
    pass


@dataclass
class Output_Relayed:
    value: object
