"""One run of a node, and what it is.

A run begins in a copy of the snapshot, unless instances are reused: so everything that is of one run is set again here.
"""

from __future__ import annotations

import json
import os
import random
import sys
from typing import Any

from promptflow.tracing._operation_context import OperationContext

from . import connections, entries, failure, files, host, inputs, models, outputs, spans
from .archive import FLOW
from .build import State
from .entries import Entry

#: How many runs have begun in this instance.
_runs = 0

#: The variable that says which entry a run is of. Nodes do not see it.
ENTRY = "WEIR_ENTRY"
#: And the one that says what of connections is secret.
SECRETS = "WEIR_SECRET_SETTINGS"


def describe() -> str:
    """The description of the entry that the environment names; without one, of all: `{"entries": {…}}`."""
    name = host.variables().get(ENTRY)
    if name is None:
        return json.dumps({"entries": State.descriptions})
    return json.dumps(State.descriptions.get(name) or {})


def run(given: str):
    """Raises the WIT's `node-error`."""
    try:
        name = _begin()
        entry = _entry(name)
        return _Run(entry).answer(json.loads(given))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _begin() -> str:
    """Makes the process of the snapshot that of this run: environment, current folder, chance."""
    global _runs
    _runs += 1
    if _runs > 1:
        from . import loop

        loop.renew()
    variables = host.variables()
    name = variables.pop(ENTRY, "")
    connections.secret_settings = frozenset(variables.pop(SECRETS, "").split(","))
    os.environ.clear()
    os.environ.update(variables)
    models.fill_environment()
    try:
        files.enter(None, granted=True)
    except OSError:
        # The host grants some folders of the flow at most, not the flow folder.
        files.enter("", granted=False)
    # The folders of the build are gone; what is in the archive is found by the names of these.
    if State.path:
        sys.path[:] = State.path
    # The snapshot's generator would give every run the same numbers.
    random.seed()
    OperationContext.begin()
    spans.begin()
    return name


def _entry(name: str) -> Entry:
    if not name and len(State.loaded) == 1:
        name = next(iter(State.loaded))
    entry = State.loaded.get(name)
    if entry is not None:
        return _imported_again(entry) if entry.is_of_its_run else entry
    known = ", ".join(State.loaded)
    raise host.node_error(
        "PythonLoadError", f"the component has no entry {name!r}; it was built with: {known}", user=False
    )


def _imported_again(entry: Entry) -> Entry:
    """The entry, with modules that have read the variables of this run. Once, where an instance is used again."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(FLOW + "/"):
            del sys.modules[name]
    try:
        again = State.loaded[entry.name] = entries.load(entry.name)
    except BaseException as error:
        raise failure.loading(entry, error) from None
    return again


class _Run:
    def __init__(self, entry: Entry):
        self.entry = entry
        self.streaming = False

    def answer(self, given: dict[str, Any]):
        entry = self.entry
        instance = self._flex_instance() if entry.flex and entry.owner is not None else None
        try:
            result = self._call(instance, given)
            return self._value(result)
        except host.ClientGone:
            return host.emitted()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            raise failure.of(error, entry, self.streaming) from None

    def _call(self, instance: Any, given: dict[str, Any]) -> Any:
        entry = self.entry
        made, values = inputs.arguments(entry, given)
        spans.belongs_to_the_node(entry.original)
        if entry.owner is None:
            result = entry.function(**values)
        else:
            result = entry.function(instance if entry.flex else entry.owner(**made), **values)
        # By hand: `inspect.isawaitable` asks abstract classes, which is slow in a process this young.
        if hasattr(type(result), "__await__"):
            from . import loop

            result = loop.run(result)
        if entry.aggregates and isinstance(result, dict):
            _log_metrics(result)
        return result

    def _flex_instance(self) -> Any:
        """The instance of a flex flow's class: made once for each `init`, as long as this instance of the component."""
        init = host.init()
        key = json.dumps(init, sort_keys=True)
        if key not in self.entry.instances:
            try:
                self.entry.instances[key] = self.entry.owner(**self._init_arguments(init))
            except Exception as error:
                raise failure.initialization(init, error) from None
        return self.entry.instances[key]

    def _init_arguments(self, init: dict[str, Any]) -> dict[str, Any]:
        values = inputs.init_arguments(self.entry, init)
        return {name: connections.resolve_configuration(value) for name, value in values.items()}

    def _value(self, result: Any):
        if not outputs.is_stream(result):
            return host.value(outputs.dumps(result))
        unread = getattr(result, "take_unread", None)
        stream = unread() if unread is not None else None
        if stream is not None:
            return host.relayed(stream)
        if hasattr(result, "__anext__"):
            from . import loop

            result = loop.drain(result)
        self.streaming = True
        for chunk in result:
            host.emit(outputs.dumps(chunk))
        return host.emitted()


def _log_metrics(metrics: dict[str, Any]) -> None:
    for name, number in metrics.items():
        if isinstance(number, (int, float)):
            host.log_metric(name, float(number))
