"""`/tmp`, in memory: files that a run writes for itself, and that are gone with it.

A component has no folder to write in, and much code wants one in passing: it unpacks, converts, calls something that
takes a path. What it writes counts as memory of its run. Where the host opens a real `/tmp`, that one is used.
"""

from __future__ import annotations

import errno
import io
import os
import posixpath
import tempfile
from typing import Any

TEMPORARY = "/tmp"


class Store:
    """Files by their full names, and the folders that were made."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = {TEMPORARY}

    def clear(self) -> None:
        self.files.clear()
        self.folders = {TEMPORARY}

    def is_file(self, path: str) -> bool:
        return path in self.files

    def is_folder(self, path: str) -> bool:
        return path in self.folders

    def size_of(self, path: str) -> int:
        return len(self.files[path])

    def read(self, path: str) -> bytes:
        return self.files[path]

    def list(self, path: str) -> list[str]:
        start = path + "/"
        below = [name[len(start) :] for name in (*self.files, *self.folders) if name.startswith(start)]
        return sorted({name for name in below if "/" not in name})

    def write(self, path: str, content: bytes) -> None:
        self.files[path] = content

    # What changes folders and names.

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._parent(path)
        if self.is_file(path) or self.is_folder(path):
            raise _error(errno.EEXIST, path)
        self.folders.add(path)

    def remove(self, path: str) -> None:
        if path not in self.files:
            raise _error(errno.EISDIR if self.is_folder(path) else errno.ENOENT, path)
        del self.files[path]

    def rmdir(self, path: str) -> None:
        if not self.is_folder(path):
            raise _error(errno.ENOENT, path)
        if self.list(path):
            raise _error(errno.ENOTEMPTY, path)
        self.folders.discard(path)

    def rename(self, path: str, to: str) -> None:
        self._parent(to)
        if path in self.files:
            self.files[to] = self.files.pop(path)
            return
        if not self.is_folder(path):
            raise _error(errno.ENOENT, path)
        moved = [name for name in (*self.files, *self.folders) if name == path or name.startswith(path + "/")]
        for name in moved:
            if name in self.files:
                self.files[to + name[len(path) :]] = self.files.pop(name)
            else:
                self.folders.discard(name)
                self.folders.add(to + name[len(path) :])

    def _parent(self, path: str) -> None:
        if not self.is_folder(posixpath.dirname(path)):
            raise _error(errno.ENOENT, path)

    def open(self, path: str, mode: str) -> io.BytesIO:
        """A file, opened as `open` says in binary."""
        if self.is_folder(path):
            raise _error(errno.EISDIR, path)
        self._parent(path)
        there = path in self.files
        if "x" in mode and there:
            raise _error(errno.EEXIST, path)
        if not there and "r" in mode:
            raise _error(errno.ENOENT, path)
        if "w" in mode or not there:
            self.files[path] = b""
        return File(self, path, mode)


class File(io.BytesIO):
    """A file of the store: what is written is there for others once it is flushed or closed."""

    def __init__(self, store: Store, path: str, mode: str):
        super().__init__(store.files[path])
        self.name, self.mode = path, mode
        self._store, self._writes = store, bool(set(mode) & set("wax+"))
        if "a" in mode:
            self.seek(0, io.SEEK_END)

    def writable(self) -> bool:
        return self._writes

    def readable(self) -> bool:
        return "r" in self.mode or "+" in self.mode

    def write(self, data: Any) -> int:
        if not self._writes:
            raise io.UnsupportedOperation("not writable")
        if "a" in self.mode:
            self.seek(0, io.SEEK_END)
        return super().write(data)

    def flush(self) -> None:
        super().flush()
        if self._writes and self.name in self._store.files:
            self._store.write(self.name, self.getvalue())

    def close(self) -> None:
        if not self.closed:
            self.flush()
        super().close()


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


#: The `/tmp` of the run.
MEMORY = Store()


class _Named:
    """A temporary file with a name, as `tempfile.NamedTemporaryFile` gives it."""

    def __init__(self, file: Any, name: str, delete: bool):
        self.file, self.name, self.delete = file, name, delete

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __iter__(self):
        return iter(self.file)

    def __enter__(self) -> _Named:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        self.file.close()
        if self.delete and MEMORY.is_file(self.name):
            MEMORY.remove(self.name)


def _named_file(
    mode="w+b", buffering=-1, encoding=None, newline=None, suffix=None, prefix=None, dir=None, delete=True, *,
    errors=None, delete_on_close=True,
):  # fmt: skip
    name = tempfile.mktemp(suffix or "", prefix or "tmp", dir or TEMPORARY)
    return _Named(open(name, mode, buffering, encoding, errors, newline), name, delete)


def _file(mode="w+b", buffering=-1, encoding=None, newline=None, suffix=None, prefix=None, dir=None, *, errors=None):
    return _named_file(mode, buffering, encoding, newline, suffix, prefix, dir, errors=errors)


def _no_descriptors(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSYS, "tempfile.mkstemp is not available inside a node of weir: use NamedTemporaryFile")


def install() -> None:
    """Makes the module `tempfile` use the store."""
    tempfile.tempdir = TEMPORARY
    tempfile.NamedTemporaryFile = _named_file
    tempfile.TemporaryFile = _file
    tempfile.mkstemp = _no_descriptors
