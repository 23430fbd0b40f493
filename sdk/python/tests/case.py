"""What the tests share: the world of a test, and nodes made of source text."""

import asyncio
import json
import linecache
import sys
import textwrap
import unittest

from componentize_py_types import Err
from weir_python import archive, build, entries, host, loop, run, signature
from weir_python.archive import FLOW
from wit_world import world
from wit_world.imports.weir_flow_types import CallError, CallErrorKind


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        _forget()
        world.reset()
        build.State.loaded, build.State.descriptions = {}, {}
        build.State.message_format = "basic"
        archive.ARCHIVE.__init__()
        self.addCleanup(_forget)
        policy = asyncio.events._event_loop_policy
        loop.install()
        self.addCleanup(lambda: setattr(asyncio.events, "_event_loop_policy", policy))

    def load(self, source, name="node.py"):
        """The entry of a file with this source."""
        path = name.partition(":")[0]
        archive.ARCHIVE.add(f"{FLOW}/{path}", textwrap.dedent(source).encode())
        entry = entries.load(name)
        build.State.loaded[name] = entry
        build.State.descriptions[name] = signature.describe(entry)
        world.variables["WEIR_ENTRY"] = name
        return entry

    def load_flex(self, source, entry):
        module = entry.partition(":")[0]
        archive.ARCHIVE.add(f"{FLOW}/{module.replace('.', '/')}.py", textwrap.dedent(source).encode())
        hooks, path = list(sys.path_hooks), list(sys.path)
        self.addCleanup(
            lambda: (sys.path_hooks.__setitem__(slice(None), hooks), sys.path.__setitem__(slice(None), path))
        )
        sys.path.insert(0, FLOW)
        archive.install()
        build.State.loaded[entry] = entries.load(entry)
        world.variables["WEIR_ENTRY"] = entry

    def answer(self, **inputs):
        """What a run gave: its value, or the chunks that it emitted."""
        output = run.run(json.dumps(inputs))
        if type(output).__name__ == "Output_Emitted":
            return [json.loads(chunk) for chunk in world.emitted]
        return json.loads(output.value)

    def failure(self, **inputs):
        """What a run failed with: blame, code, message."""
        with self.assertRaises(Err) as raised:
            run.run(json.dumps(inputs))
        error = raised.exception.value
        return error.blame.name.lower(), error.code, error.message

    def check(self, source, inputs, expected):
        self.load(source)
        self.assertEqual(self.answer(**inputs), expected)


def _forget():
    """Modules of the test's flow."""
    linecache.clearcache()
    for name in list(sys.modules):
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(FLOW) or name.startswith("__pf_main__"):
            del sys.modules[name]


def refused(kind, message="no", status=None):
    """What the host raises when it refuses a call."""
    return Err(CallError(CallErrorKind[kind], status, message))


def chat_answer(content="hello", **message):
    """An answer of a chat, as the service gives it."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content, **message}}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }


__all__ = ["Case", "chat_answer", "host", "refused", "world"]
