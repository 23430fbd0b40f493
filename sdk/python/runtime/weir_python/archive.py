"""The modules and files that a component carries with it.

componentize-py mounts the Python path while it builds; at run time none of it is there. What was imported by then is
in the snapshot. Everything else that a node may still ask for, modules that a function imports when it is called and
data files beside a package's modules, is kept here, compressed, and found by the usual machinery of `sys.path`:
`archive` is to this runtime what zipimport is to a zip file.

Names of the folders, in `__file__`, tracebacks and to `open`:

| folder | holds |
| --- | --- |
| `/flow` | the flow folder, but for what is hidden, what holds keys, and what is large |
| `/site` | the packages of requirements.txt |
| `/python` | the standard library |

Files of the flow that are in the component need no grant, and a component is whole wherever it is deployed. Where the
host grants `/flow`, or folders of it, what it grants is read there: see files.py.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import io
import os
import posixpath
import re
import sys
import types
import zlib
from collections.abc import Callable, Iterator

from . import volatile

FLOW = "/flow"
SITE = "/site"

#: Folders of a flow that hold no modules of it.
LEFT_OUT = frozenset(
    {"__pycache__", ".git", ".weir", ".promptflow", ".venv", "venv", "node_modules", ".runs", ".vscode"}
)

#: The largest file that is taken in, in bytes: more than any module, less than a model.
MAX_FILE = 4 << 20

#: What all files of a flow folder take at most, in bytes.
MAX_FLOW = 32 << 20

#: A file of a connection, as `pf connection create` takes it: it may hold a key.
_CONNECTION = re.compile(rb"(?m)^\s*(api_key|secrets)\s*:")


class Archive:
    """Files by their full names, and the folders that follow from them."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._sizes: dict[str, int] = {}
        self._code: dict[str, types.CodeType] = {}
        self._folders: dict[str, set[str]] = {}

    def add(self, path: str, content: bytes) -> None:
        self._files[path] = zlib.compress(content, 6)
        self._sizes[path] = len(content)
        self._code.pop(path, None)
        while path not in ("", "/"):
            folder, name = posixpath.split(path)
            self._folders.setdefault(folder, set()).add(name)
            path = folder

    def replace(self, path: str, content: str) -> None:
        """Puts something of ours in the place of a file, if there is one."""
        if path in self._files:
            self.add(path, content.encode())

    def add_folder(self, real: str, shown: str, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Takes the files below `real` in, under the name `shown`. Gives the names of those that are too large."""
        large = []
        for folder, subfolders, files in os.walk(real):
            subfolders[:] = sorted(name for name in subfolders if name not in LEFT_OUT)
            below = posixpath.normpath(posixpath.join(shown, posixpath.relpath(folder, real)))
            for name in sorted(files):
                if not wanted(name) or name.endswith((".pyc", ".so")):
                    continue
                path = posixpath.join(folder, name)
                if os.path.getsize(path) > MAX_FILE:
                    large.append(posixpath.relpath(path, real))
                else:
                    self.add(posixpath.join(below, name), _content(path))
        return large

    def append(self, path: str, content: str) -> None:
        """Adds something of ours to the end of a module, if there is one."""
        if path in self._files:
            self.add(path, self.read(path) + content.encode())

    def add_flow(self, real: str) -> list[str]:
        """Takes a flow folder in. Gives the names of files that a node will have to be granted."""
        left = []
        room = MAX_FLOW
        for folder, subfolders, files in os.walk(real):
            subfolders[:] = sorted(name for name in subfolders if name not in LEFT_OUT and not name.startswith("."))
            for name in sorted(files):
                path = posixpath.join(folder, name)
                relative = posixpath.relpath(path, real)
                if name.startswith(".") or name.endswith((".pyc", ".wasm", ".env")):
                    continue
                size = os.path.getsize(path)
                if size > min(MAX_FILE, room):
                    left.append(relative)
                    continue
                content = _content(path)
                if name.endswith((".yaml", ".yml")) and _CONNECTION.search(content):
                    continue
                room -= size
                self.add(posixpath.join(FLOW, relative), content)
        return left

    def read(self, path: str) -> bytes:
        """Raises KeyError if there is no such file."""
        return zlib.decompress(self._files[path])

    def code_of(self, path: str):
        """The code of a module. That of a flow is compiled once: a run that imports it again finds it in the snapshot."""
        if not path.startswith(FLOW + "/"):
            return compile(self.read(path), path, "exec", dont_inherit=True)
        if path not in self._code:
            self._code[path] = compile(self.read(path), path, "exec", dont_inherit=True)
        return self._code[path]

    def is_volatile(self, path: str) -> bool:
        """Whether a module asks for the time or for chance as it is imported: see volatile.py."""
        return self.is_file(path) and volatile.is_volatile(self.read(path))

    def size_of(self, path: str) -> int:
        """The length of a file, in bytes."""
        return self._sizes[path]

    def is_file(self, path: str) -> bool:
        return path in self._files

    def is_folder(self, path: str) -> bool:
        return path in self._folders

    def list(self, path: str) -> list[str]:
        """The names in a folder. Raises KeyError if there is none."""
        return sorted(self._folders[path])

    def size(self) -> int:
        """What it takes in memory, in bytes."""
        return sum(len(content) for content in self._files.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)


def _content(path: str) -> bytes:
    with io.FileIO(path) as file:
        return file.readall()


#: The archive of this component.
ARCHIVE = Archive()


class Loader(importlib.abc.InspectLoader):
    """Loads one module of the archive."""

    def __init__(self, name: str, path: str, archive: Archive):
        self.name, self.path, self.archive = name, path, archive

    def is_package(self, fullname: str) -> bool:
        return posixpath.basename(self.path) == "__init__.py"

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.archive.read(self.path))

    def get_code(self, fullname: str):
        return self.archive.code_of(self.path)

    def get_filename(self, fullname: str) -> str:
        return self.path

    def get_resource_reader(self, name: str):
        """For `importlib.resources`: files beside the module, by their paths."""
        from importlib.readers import FileReader

        return FileReader(self)

    def get_data(self, path: str) -> bytes:
        """For `pkgutil.get_data`."""
        try:
            return self.archive.read(posixpath.normpath(path))
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory", path) from None


class Finder(importlib.abc.PathEntryFinder):
    """Finds the modules of one folder of the archive."""

    def __init__(self, folder: str, archive: Archive):
        self.folder, self.archive = folder, archive

    def find_spec(self, fullname: str, target=None):
        base = posixpath.join(self.folder, fullname.rpartition(".")[2])
        package = posixpath.join(base, "__init__.py")
        if self.archive.is_file(package):
            return self._spec(fullname, package, [base])
        if self.archive.is_file(base + ".py"):
            return self._spec(fullname, base + ".py", None)
        if self.archive.is_folder(base):
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [base]
            return spec
        return None

    def _spec(self, fullname: str, path: str, locations: list[str] | None):
        loader = Loader(fullname, path, self.archive)
        return importlib.util.spec_from_file_location(
            fullname, path, loader=loader, submodule_search_locations=locations
        )

    def iter_modules(self, prefix: str = "") -> Iterator[tuple[str, bool]]:
        """For `pkgutil.iter_modules`."""
        for name in self.archive.list(self.folder):
            if self.archive.is_file(posixpath.join(self.folder, name, "__init__.py")):
                yield prefix + name, True
            elif name.endswith(".py") and name != "__init__.py":
                yield prefix + name[:-3], False


class Distribution(importlib.metadata.Distribution):
    """An installed package, for `importlib.metadata.version` and its like."""

    def __init__(self, folder: str, archive: Archive):
        self.folder, self.archive = folder, archive

    def read_text(self, filename: str) -> str | None:
        path = posixpath.join(self.folder, filename)
        return self.archive.read(path).decode() if self.archive.is_file(path) else None

    def locate_file(self, path) -> str:
        return posixpath.join(posixpath.dirname(self.folder), str(path))


class Distributions(importlib.metadata.DistributionFinder):
    """Finds installed packages; modules are found through `sys.path_hooks`."""

    def __init__(self, archive: Archive):
        self.archive = archive

    def find_spec(self, fullname, path=None, target=None):
        return None

    def find_distributions(self, context=None):
        context = context or importlib.metadata.DistributionFinder.Context()
        wanted = None if context.name is None else _normal(context.name)
        for folder in context.path:
            if not self.archive.is_folder(folder):
                continue
            for name in self.archive.list(folder):
                if name.endswith(".dist-info") and wanted in (None, _normal(name.partition("-")[0])):
                    yield Distribution(posixpath.join(folder, name), self.archive)


def _normal(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")


def install(archive: Archive = ARCHIVE) -> None:
    """Makes what is in the archive importable from the folders of `sys.path`."""

    def hook(folder: str) -> Finder:
        if not archive.is_folder(folder):
            raise ImportError(folder)
        return Finder(folder, archive)

    sys.path_hooks.insert(0, hook)
    sys.meta_path.append(Distributions(archive))
    sys.path_importer_cache.clear()
