"""Threads, where there are none: what is handed to a thread is done at once, by whoever hands it in.

The result is the same wherever a thread is only a way to do several things in less time, which is nearly always so in
flows: pools of threads around calls of a model. A thread that waits for something which only happens later can not be
imitated, and runs into the time limit of its node.
"""

from __future__ import annotations

import concurrent.futures
import threading


def install() -> None:
    threading.Thread.start = _start
    threading.Thread.join = lambda self, timeout=None: None
    threading.Thread.is_alive = lambda self: self is threading.main_thread() or getattr(self, "_runs", False)
    threading.Timer.start = _no_timer
    concurrent.futures.ThreadPoolExecutor.submit = _submit
    concurrent.futures.ThreadPoolExecutor.shutdown = lambda self, wait=True, *, cancel_futures=False: None


def _start(self: threading.Thread) -> None:
    if self._started.is_set():
        raise RuntimeError("threads can only be started once")
    self._started.set()
    self._runs = True
    try:
        self.run()
    except SystemExit:
        pass
    except BaseException:
        threading.excepthook(threading.ExceptHookArgs((*_error(), self)))
    finally:
        self._runs = False


def _error():
    import sys

    return sys.exc_info()


def _no_timer(self: threading.Timer) -> None:
    raise RuntimeError(
        "threading.Timer is not available inside a node of weir: there are no threads. "
        "For a time limit use `limits.timeout` of the node"
    )


def _submit(self, function, /, *args, **kwargs) -> concurrent.futures.Future:
    future: concurrent.futures.Future = concurrent.futures.Future()
    if not future.set_running_or_notify_cancel():
        return future
    try:
        future.set_result(function(*args, **kwargs))
    except BaseException as error:
        future.set_exception(error)
    return future
