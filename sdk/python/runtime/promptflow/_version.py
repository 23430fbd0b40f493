"""The version of prompt flow whose surface this is."""

VERSION = "1.17.2"
__version__ = VERSION
