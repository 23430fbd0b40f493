"""Answers and failures are those of prompt flow itself, which original/record.py has recorded."""

import builtins
import io
import json
import os
import sys
import tempfile
import tokenize
from pathlib import Path

from componentize_py_types import Err
from weir_python import archive, build, entries, run
from weir_python.archive import FLOW

from .case import Case, world

HERE = Path(__file__).resolve().parent / "original"


class Original(Case):
    def setUp(self):
        super().setUp()
        hooks, path = list(sys.path_hooks), list(sys.path)

        def back():
            sys.path_hooks[:], sys.path[:] = hooks, path
            sys.path_importer_cache.clear()

        self.addCleanup(back)
        archive.ARCHIVE.add_flow(str(HERE / "nodes"))
        sys.path.insert(0, FLOW)
        archive.install()

    def given(self, case):
        """What this runtime makes of a case, in the form in which the original's is recorded."""
        name = case["entry"]
        if name not in build.State.loaded:
            build.State.loaded[name] = entries.load(name)
        world.reset()
        world.variables["WEIR_ENTRY"] = name
        world.init = json.dumps(case.get("init") or {})
        try:
            output = run.run(json.dumps(case["inputs"]))
        except Err as error:
            failed = error.value
            return {"user": failed.blame.name == "USER", "code": failed.code, "message": failed.message}
        if type(output).__name__ == "Output_Value":
            return {"output": json.loads(output.value)}
        # As the host joins what was streamed: texts as they are, other values as their JSON text.
        chunks = [json.loads(chunk) for chunk in world.emitted]
        return {"output": "".join(chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks)}

    def test_each_case(self):
        from weir_python import files

        cases = json.loads((HERE / "cases.json").read_text())
        expected = json.loads((HERE / "expected.json").read_text())
        self.assertEqual(len(cases), len(expected))
        changed = {io: ["open"], builtins: ["open"], files.Roots: ["flow", "granted"]}
        changed[os] = ["stat", "lstat", "listdir", "scandir", "access", "open", "getcwd", "supports_follow_symlinks"]
        changed[os] += ["mkdir", "rmdir", "remove", "unlink", "rename", "replace"]
        changed[tokenize] = ["_builtin_open"]
        changed[tempfile] = ["tempdir", "NamedTemporaryFile", "TemporaryFile", "mkstemp"]
        before = [(owner, name, getattr(owner, name)) for owner, names in changed.items() for name in names]
        self.addCleanup(lambda: [setattr(*what) for what in before])
        files.install()
        for case, original in zip(cases, expected, strict=True):
            with self.subTest(**case):
                self.assertEqual(self.given(case), original)
