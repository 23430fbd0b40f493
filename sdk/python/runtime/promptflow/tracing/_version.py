"""The version of promptflow-tracing whose surface this is."""

__version__ = "1.17.2"
VERSION = __version__
