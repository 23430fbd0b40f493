"""As componentize-py makes it."""

from dataclasses import dataclass


@dataclass
class Ok:
    value: object


@dataclass(frozen=True)
class Err(Exception):
    value: object
