"""A little shop."""

from .catalogue import Catalogue

__all__ = ["Catalogue"]
__version__ = "1.2"
