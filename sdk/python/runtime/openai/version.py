"""The version, under its public name."""

from ._version import VERSION  # noqa: F401
