"""What happens once, while componentize-py makes the snapshot.

The build gives four folders, in this order, as `--python-path`:

| folder | holds |
| --- | --- |
| app | `weir_entries.json`, which the build writes |
| runtime | this package and those beside it |
| site | the packages of the flow's requirements.txt, installed |
| flow | the flow folder |

`weir_entries.json` is `{"entries": ["classify.py", "module:Class"], "message_format": "basic"}`. A class that has an
`__aggregate__` makes one entry more, `module:Class#aggregate`.

Each entry is imported and described; what went well and what did not is told on standard error, one JSON object in a
line, and any failure fails the build:

    {"weir": "described", "entry": "classify.py", "description": {…}, "variables": ["OPENAI_API_KEY"]}
    {"weir": "failed", "entry": "classify.py", "code": "PythonLoadError", "type": "ModuleNotFoundError",
     "message": "No module named 'numpy'", "file": "classify.py", "line": 3, "module": "numpy", "hint": "…"}
    {"weir": "built", "entries": 2, "failed": 0, "archive_bytes": 1234567, "too_large": ["data/index.bin"]}
"""

from __future__ import annotations

import gc
import io
import json
import os
import posixpath
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from . import archive, entries, environment, files, inputs, pydantic_face, signature, standins, warm
from .archive import ARCHIVE, FLOW, SITE

STDLIB = "/python"

#: Parts of the standard library that no node can use: other programs, windows, tests.
NO_USE = ("idlelib", "turtledemo", "tkinter", "test", "ensurepip", "venv", "lib2to3", "site-packages", "pydoc_data")

#: Modules that most flows use sooner or later. Those that a function imports at its first call cost the run a
#: compilation; in the snapshot they cost nothing.
USUAL = (
    "asyncio",
    "base64",
    "calendar",
    "collections",
    "concurrent.futures",
    "contextlib",
    "csv",
    "datetime",
    "decimal",
    "difflib",
    "email.message",
    "email.parser",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "enum",
    "fractions",
    "functools",
    "glob",
    "hashlib",
    "hmac",
    "html",
    "html.parser",
    "http.client",
    "http.cookiejar",
    "io",
    "inspect",
    "itertools",
    "json",
    "linecache",
    "logging",
    "logging.config",
    "math",
    "mimetypes",
    "operator",
    "pathlib",
    "pickle",
    "pprint",
    "queue",
    "random",
    "re",
    "secrets",
    "shutil",
    "sqlite3",
    "statistics",
    "string",
    "tempfile",
    "textwrap",
    "threading",
    "traceback",
    "typing",
    "unicodedata",
    "urllib.error",
    "urllib.parse",
    "urllib.request",
    "uuid",
    "xml.etree.ElementTree",
    "zipfile",
    "zoneinfo",
)


#: Modules of packages that reach for what is not there, and what stands in their place.
REPLACED = {
    # The asynchronous network of httpx, which is anyio's: sockets of an event loop.
    "/httpcore/_backends/auto.py": "from weir_python.async_http import AutoBackend\n",
    # Interpreters beside this one, which this CPython has not.
    "/anyio/to_interpreter.py": "async def run_sync(*args, **kwargs):\n"
    "    raise NotImplementedError('there is one interpreter inside a node of weir')\n",
}


class State:
    """What the build leaves to the runs."""

    loaded: dict[str, entries.Entry] = {}
    descriptions: dict[str, dict[str, Any]] = {}
    message_format = "basic"
    #: `sys.path` of a run.
    path: list[str] = []


def tell(record: dict[str, Any]) -> None:
    print(json.dumps(record, ensure_ascii=False), file=sys.stderr, flush=True)


def prepare() -> None:
    """Everything of the module's description. Raises SystemExit if any entry failed."""
    app, runtime, site, flow = _folders()
    with open(posixpath.join(app, "weir_entries.json"), encoding="utf-8") as file:
        plan = json.load(file)
    State.message_format = plan.get("message_format") or "basic"
    large = _collect(runtime, site, flow)
    # What componentize-py itself still imports after this module is in folders of its own.
    own = [folder for folder in sys.path if folder in ("/world", "/bundled")]
    sys.path[:] = [runtime, FLOW, SITE, STDLIB, *own]
    archive.install()
    standins.install()
    files.install()
    environment.install()
    files.enter(flow, granted=True)
    _import_usual()
    failures = [failure for name in _all(plan["entries"]) if (failure := _load(name)) is not None]
    for failure in failures:
        tell(failure)
    warm.up(ARCHIVE)
    tell(
        {
            "weir": "built",
            "entries": len(State.loaded),
            "failed": len(failures),
            "archive_bytes": ARCHIVE.size(),
            "too_large": large,
        }
    )
    if failures:
        entries_in_all = len(State.loaded) + len(failures)
        sys.exit(f"weir: {len(failures)} of {entries_in_all} entries cannot be loaded; each is told above")
    State.path = [folder for folder in sys.path if folder not in own]
    _close()


def _folders() -> list[str]:
    for index, folder in enumerate(sys.path):
        if os.path.exists(posixpath.join(folder, "weir_entries.json")):
            found = sys.path[index : index + 4]
            if len(found) == 4:
                return found
    sys.exit("weir: weir_entries.json is not in the first of four folders of the Python path")


def _collect(runtime: str, site: str, flow: str) -> list[str]:
    """Fills the archive. Gives the flow's files that are too large for it."""
    large = ARCHIVE.add_flow(flow)
    ARCHIVE.add_folder(site, SITE)
    ARCHIVE.add_folder(runtime, runtime, lambda name: name.endswith((".py", "METADATA")))
    for path, content in REPLACED.items():
        ARCHIVE.replace(SITE + path, content)
    ARCHIVE.append(f"{SITE}/pydantic/__init__.py", pydantic_face.APPENDED)
    for name in sorted(os.listdir(STDLIB)):
        path = posixpath.join(STDLIB, name)
        if name.endswith(".py"):
            with io.FileIO(path) as file:
                ARCHIVE.add(path, file.readall())
        elif name not in NO_USE and os.path.isdir(path) and "-" not in name:
            ARCHIVE.add_folder(path, path, lambda name: name.endswith(".py"))
    return large


def _import_usual() -> None:
    for name in USUAL:
        __import__(name)


def _all(names: list[str]) -> Iterator[str]:
    """These entries, each with its aggregation behind it, which shows once it has been loaded."""
    for name in names:
        yield name
        aggregation = entries.aggregation(State.loaded[name]) if name in State.loaded else None
        if aggregation is not None and aggregation not in names:
            yield aggregation


def _load(name: str) -> dict[str, Any] | None:
    """Imports and describes one entry; what is to be told if that fails."""
    before = set(sys.modules)
    with environment.reading() as seen:
        failed = _try(name)
    if failed is not None and seen.variables and not isinstance(failed, (ImportError, SyntaxError)):
        # It may be that it does not go on without a variable that a run will have.
        _forget(before)
        with environment.reading(generous=True) as seen_again:
            again = _try(name)
        seen.variables |= seen_again.variables
        failed = failed if again is not None else None
    if failed is not None:
        # A module that was left half imported would fail the next entry in words that name no cause.
        _forget(before)
        return failure(name, failed, seen.variables)
    entry, description = State.loaded[name], State.descriptions[name]
    entry.is_of_its_run = bool(seen.variables) or _is_volatile(before)
    tell({"weir": "described", "entry": name, "description": description, "variables": sorted(seen.variables)})
    if entry.is_of_its_run:
        # The next entry that imports the same modules has to be seen to do so.
        _forget(before)
    return None


def _is_volatile(before: set[str]) -> bool:
    """Whether a module of the flow that was imported since asks for what is another at each run."""
    paths = [getattr(sys.modules[name], "__file__", None) or "" for name in set(sys.modules) - before]
    return any(ARCHIVE.is_volatile(path) for path in paths if path.startswith(FLOW + "/"))


def _try(name: str) -> BaseException | None:
    try:
        entry = entries.load(name)
        description = signature.describe(entry)
        entry.plan = inputs.plan(entry)
    except BaseException as error:
        return error
    State.loaded[name], State.descriptions[name] = entry, description
    return None


def _forget(before: set[str]) -> None:
    """Lets go of the flow's modules that were imported since."""
    for added in set(sys.modules) - before:
        if (getattr(sys.modules[added], "__file__", None) or "").startswith(FLOW + "/"):
            del sys.modules[added]


def failure(name: str, error: BaseException, variables: set[str] = frozenset()) -> dict[str, Any]:
    """Why an entry cannot be loaded: the failure, and the last line of the flow's own code that led to it."""
    record: dict[str, Any] = {
        "weir": "failed",
        "entry": name,
        "code": getattr(error, "code", None) if isinstance(error, entries.EntryError) else "PythonLoadError",
        "type": type(error).__name__,
        # Where the flow folder is mounted while it is built is nobody's affair.
        "message": str(error).replace(f"{files.Roots.flow or FLOW}/", ""),
    }
    if isinstance(error, SyntaxError) and error.filename:
        record |= {"file": _shown(error.filename), "line": error.lineno}
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(FLOW)]
        if frames:
            record |= {"file": _shown(frames[-1].filename), "line": frames[-1].lineno}
    if isinstance(error, ImportError) and error.name:
        from .known import hint

        record["module"] = error.name
        told = hint(error.name)
        if told:
            record["hint"] = told
    elif variables:
        names = ", ".join(sorted(variables))
        record["hint"] = (
            f"it reads {names} when it is imported, which a build does not know: read what it needs in the function"
        )
    return record


def _shown(path: str) -> str:
    return path.removeprefix(FLOW + "/")


def _close() -> None:
    """Leaves nothing of the build behind in the snapshot: folders that will not be there, caches, garbage."""
    files.enter("", granted=False)
    import linecache

    linecache.clearcache()
    # Not in a run: to let go of what is known of all folders costs one two milliseconds.
    sys.path_importer_cache.clear()
    gc.collect()
    _blank()
    gc.freeze()
    # A run is over before garbage in cycles could matter, and looking for it touches memory that is shared until then.
    gc.set_threshold(50_000, 20, 20)


def _blank() -> None:
    """Writes zeros over memory that is free: a component holds what is in it, and to compile has left much of it full.

    It is a tenth of its size. Larger pieces would find more, of components with many packages a quarter, and grow the
    memory with which each run begins by as much as they take: these grow it by some 3 MB.
    """
    held = [[bytearray(size) for _ in range((3 << 20) // size)] for size in (1 << 14, 1 << 12)]
    held.clear()
