"""Metrics of a run: each is a metric of the host, and goes to loggers that a node has added."""

import inspect

_loggers = []


def log_metric(key, value, variant_id=None):
    """Tells a metric of the run, such as the accuracy that an evaluation has found. The variant is for loggers alone."""
    from weir_python import host

    for logger in _loggers:
        takes = len(inspect.signature(logger).parameters)
        logger(key, value) if takes == 2 else logger(key, value, variant_id)
    try:
        number = float(value)
    except (TypeError, ValueError):
        # Prompt flow takes anything for a metric; what is no number can only be noted.
        host.add_event("metric", {str(key): str(value)})
        return
    host.log_metric(str(key), number)


def add_metric_logger(logger_func):
    if (
        callable(logger_func)
        and logger_func not in _loggers
        and len(inspect.signature(logger_func).parameters) in (2, 3)
    ):
        _loggers.append(logger_func)


def remove_metric_logger(logger_func):
    _loggers.remove(logger_func)
