"""Where `TraceType` used to be."""

from promptflow.tracing.contracts.trace import Trace, TraceType  # noqa: F401
