"""The version of OpenAI's client whose surface this is."""

VERSION = "1.109.1"
__version__ = VERSION
