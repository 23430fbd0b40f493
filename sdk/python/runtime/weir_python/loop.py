"""The event loop of `asyncio`, which waits on pollables of `wasi:io/poll`.

There are no threads and no sockets, so `run_in_executor` does its work at once, and what opens connections are the
HTTP clients of this runtime (see web.py). Requests that were sent at the same time are waited for at the same time;
calls of models are not: the interface answers one after the other.
"""

from __future__ import annotations

import asyncio
import asyncio.base_events
import asyncio.events
import collections.abc
from typing import Any


class _Selector:
    """Waits for pollables or until a time has passed, whichever comes first."""

    def __init__(self) -> None:
        self.waits: list[tuple[Any, asyncio.Future]] = []

    def select(self, timeout: float | None) -> list[asyncio.Future]:
        from wit_world.imports import monotonic_clock, poll

        if timeout is not None and timeout <= 0 and not self.waits:
            return []
        pollables = [pollable for pollable, _ in self.waits]
        clock = None
        if timeout is not None:
            clock = monotonic_clock.subscribe_duration(max(0, int(timeout * 1e9)))
            pollables.append(clock)
        if not pollables:
            raise RuntimeError("the event loop waits for something that can never happen")
        ready = set(poll.poll(pollables))
        if clock is not None:
            clock.__exit__(None, None, None)
        done = [future for index, (_, future) in enumerate(self.waits) if index in ready]
        self.waits = [wait for index, wait in enumerate(self.waits) if index not in ready]
        return done

    def close(self) -> None:
        self.waits.clear()

    def get_map(self) -> dict:
        return {}


class Loop(asyncio.base_events.BaseEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()

    def _process_events(self, events: list[asyncio.Future]) -> None:
        for future in events:
            if not future.done():
                future.set_result(None)

    def _write_to_self(self) -> None:
        pass

    async def wait_for(self, pollable: Any) -> None:
        """Waits until a pollable is ready, and drops it."""
        future = self.create_future()
        self._selector.waits.append((pollable, future))
        try:
            await future
        finally:
            self._selector.waits = [wait for wait in self._selector.waits if wait[1] is not future]
            pollable.__exit__(None, None, None)

    def run_in_executor(self, executor: Any, function: Any, *args: Any) -> asyncio.Future:
        future = self.create_future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        return None

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:
        return None

    def remove_signal_handler(self, sig: int) -> bool:
        return False


# Python has made the name private in 3.14; the tests of this runtime run on older ones.
_Base = getattr(asyncio.events, "_BaseDefaultEventLoopPolicy", None) or asyncio.events.BaseDefaultEventLoopPolicy


class _Policy(_Base):
    _loop_factory = Loop

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        """The current loop, made if there is none: what Python did until 3.13, and flows still count on."""
        if self._local._loop is None or self._local._loop.is_closed():
            self.set_event_loop(self.new_event_loop())
        return self._local._loop


def install() -> None:
    asyncio.events._event_loop_policy = _Policy()


def run(awaitable: Any) -> Any:
    """The result of an awaitable."""
    return current().run_until_complete(_awaited(awaitable))


def renew() -> None:
    """Lets the loop of an earlier run go, with all that was left undone in it: a run has one of its own, as under
    `asyncio.run`."""
    policy = asyncio.events._event_loop_policy
    before = policy._local._loop if isinstance(policy, _Policy) else None
    if before is None:
        return
    for task in asyncio.all_tasks(before):
        # Nobody waits for it, and this run did not begin it.
        task._log_destroy_pending = False
    before.close()
    policy._local._loop = None


def current() -> asyncio.AbstractEventLoop:
    return asyncio.events._event_loop_policy.get_event_loop()


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def drain(stream: collections.abc.AsyncIterator) -> collections.abc.Iterator:
    """What an async iterator yields, each as soon as it is there."""
    loop = current()
    while True:
        try:
            yield loop.run_until_complete(_awaited(stream.__anext__()))
        except StopAsyncIteration:
            return
