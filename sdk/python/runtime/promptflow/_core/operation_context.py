"""Where `OperationContext` used to be."""

from promptflow.tracing._operation_context import OperationContext  # noqa: F401
