"""Loggers of prompt flow: they write to standard error, of which the host makes log records."""

import contextlib
import logging
import sys

LOG_FORMAT = "%(asctime)s %(process)7d %(name)-18s %(levelname)-8s %(message)s"
DATETIME_FORMAT = "%Y-%m-%d %H:%M:%S %z"


class _Standard(logging.Handler):
    """Writes to what standard error is now, not to what it was when the component was built."""

    def __init__(self, stream_name):
        super().__init__()
        self._stream_name = stream_name

    def emit(self, record):
        try:
            print(self.format(record), file=getattr(sys, self._stream_name), flush=True)
        except Exception:
            self.handleError(record)


def get_logger(name, level=logging.INFO, target_stdout=False):
    logger = logging.getLogger(name)
    if not logger.handlers:
        handler = _Standard("stdout" if target_stdout else "stderr")
        handler.setFormatter(logging.Formatter("[%(name)s][%(levelname)s] - %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
    return logger


class LoggerFactory:
    """Loggers by name. `PF_LOGGING_LEVEL` is not read: the host decides what becomes of log records."""

    @staticmethod
    def get_logger(name, verbosity=logging.INFO, target_stdout=False):
        return get_logger(name, verbosity, target_stdout)

    @staticmethod
    @contextlib.contextmanager
    def disable_all_loggers():
        yield


flow_logger = get_logger("execution.flow")
bulk_logger = get_logger("execution.bulk")
logger = get_logger("execution")


def get_cli_sdk_logger():
    return get_logger("promptflow", logging.WARNING)
