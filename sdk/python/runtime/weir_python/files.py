"""`open` and its like for files that are no files of the sandbox.

| | is |
| --- | --- |
| `/site/…` | in the archive: see archive.py |
| `/tmp/…` | in memory: see memory.py; unless the host opens one |
| `/flow/…`, and what has a relative path, where the host grants `/flow` | there, by the sandbox's own means |
| the same, where it does not | in the archive; else in the folders of the flow that `grants.files` names, which are at the root: `/flow/data/a.txt` is `/data/a.txt` |
| the same, while componentize-py builds | where it mounts the flow folder |

Only functions of Python are led elsewhere: what opens files in C, such as sqlite3, sees the sandbox as it is.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import posixpath
import stat as stats
import time
import tokenize
from collections.abc import Callable
from typing import Any

from . import memory
from .archive import ARCHIVE, FLOW, SITE
from .memory import MEMORY, TEMPORARY


class Roots:
    """Where the flow folder is now, without a slash at its end. None: where its name says."""

    flow: str | None = None
    #: Whether all of it is there, or only some folders.
    granted = True
    #: Whether the host opens a `/tmp`.
    temporary = False


_open, _stat, _lstat, _listdir, _scandir, _access, _os_open, _getcwd = (
    io.open,
    os.stat,
    os.lstat,
    os.listdir,
    os.scandir,
    os.access,
    os.open,
    os.getcwd,
)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def real(path: Any) -> Any:
    """The path by which the sandbox knows a file."""
    if Roots.flow is None or isinstance(path, int):
        return path
    text = os.fspath(path)
    if not isinstance(text, str):
        return path
    if not text.startswith("/"):
        text = posixpath.join(FLOW, text)
    text = posixpath.normpath(text)
    return Roots.flow + text[len(FLOW) :] or "/" if _below(text, FLOW) else path


def _place(path: Any) -> tuple[Any, str] | None:
    """The store that a path leads to, and its name there; none: the sandbox."""
    if isinstance(path, (int, bytes)) or path is None:
        return None
    text = os.fspath(path)
    if not isinstance(text, str):
        return None
    text = posixpath.normpath(text if text.startswith("/") else posixpath.join(FLOW, text))
    if _below(text, SITE):
        return ARCHIVE, text
    if _below(text, TEMPORARY):
        return None if Roots.temporary else (MEMORY, text)
    if Roots.granted or not _below(text, FLOW) or not (ARCHIVE.is_file(text) or ARCHIVE.is_folder(text)):
        return None
    return None if _is_granted(text) else (ARCHIVE, text)


def _is_granted(path: str) -> bool:
    """Whether a path of the flow is in a folder that the host grants."""
    top = path[len(FLOW) + 1 :].partition("/")[0]
    if not top:
        return False
    if top not in _granted:
        try:
            _stat(f"{Roots.flow}/{top}")
            _granted[top] = True
        except OSError:
            _granted[top] = False
    return _granted[top]


#: What was found out of the folders of the flow.
_granted: dict[str, bool] = {}


def _missing(path: str) -> OSError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


#: When files of the archive were changed: 1 January 2000, since zip files know no times before 1980.
_THEN = 946_684_800

_WRITING = frozenset("wax+")


def _store_open(store: Any, path: str, mode: str, encoding, errors, newline):
    if store is MEMORY:
        file = store.open(path, mode)
    else:
        if _WRITING & set(mode):
            raise _read_only(path)
        if not store.is_file(path):
            raise IsADirectoryError(errno.EISDIR, "Is a directory", path) if store.is_folder(path) else _missing(path)
        file = io.BytesIO(store.read(path))
        file.name, file.mode = path, mode
    return file if "b" in mode else io.TextIOWrapper(file, encoding or "utf-8", errors, newline)


def _read_only(path: str) -> OSError:
    return OSError(
        errno.EROFS,
        "files of the flow cannot be written: write below /tmp, or grant the node a folder of its own in `grants.files`, "
        "such as `{path: work, write: true}`",
        path,
    )


def _refuse_writing(path: Any) -> None:
    """Raises what says how files are written, for a path of the flow that is in no granted folder."""
    text = os.fspath(path)
    if Roots.granted or not isinstance(text, str):
        return
    text = posixpath.normpath(text if text.startswith("/") else posixpath.join(FLOW, text))
    if _below(text, FLOW) and not _is_granted(text):
        raise _read_only(text)


def _store_stat(store: Any, path: str) -> os.stat_result:
    writable, when = (0o200, int(time.time())) if store is MEMORY else (0, _THEN)
    if store.is_file(path):
        return os.stat_result((stats.S_IFREG | 0o444 | writable, 0, 0, 1, 0, 0, store.size_of(path), when, when, when))
    if store.is_folder(path):
        return os.stat_result((stats.S_IFDIR | 0o555 | writable, 0, 0, 1, 0, 0, 0, when, when, when))
    raise _missing(path)


def open_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    place = _place(file)
    if place is not None:
        return _store_open(*place, mode, encoding, errors, newline)
    if _WRITING & set(mode) and not isinstance(file, int):
        _refuse_writing(file)
    return _open(real(file), mode, buffering, encoding, errors, newline, closefd, opener)


class _Entry:
    """What `os.scandir` gives of a folder in a store."""

    def __init__(self, store: Any, folder: str, shown: str, name: str):
        self._store, self._path = store, posixpath.join(folder, name)
        self.name, self.path = name, posixpath.join(shown, name)

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._store.is_folder(self._path)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return self._store.is_file(self._path)

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def inode(self) -> int:
        return 0

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _store_stat(self._store, self._path)


class _Shown:
    """An entry of the sandbox under the path by which it was asked for."""

    def __init__(self, entry: Any, shown: str):
        self._entry, self.name, self.path = entry, entry.name, posixpath.join(shown, entry.name)

    def __fspath__(self) -> str:
        return self.path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)


class _Entries:
    """An iterator of entries that is also a context, as `os.scandir` gives it."""

    def __init__(self, entries: list[Any]):
        self._entries = iter(entries)

    def __iter__(self):
        return self._entries

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def close(self) -> None:
        self._entries = iter(())


def _store_list(store: Any, path: str) -> list[str]:
    if not store.is_folder(path):
        raise _missing(path)
    return store.list(path)


def _scan(path: Any = ".") -> Any:
    place, shown = _place(path), path if isinstance(path, str) else os.fspath(path)
    if place is not None:
        return _Entries([_Entry(*place, shown, name) for name in _store_list(*place)])
    where = real(path)
    entries = _scandir(where)
    return entries if where is path else _Entries([_Shown(entry, shown) for entry in entries])


def _led(plain: Callable, of_store: Callable) -> Callable:
    """`plain` with its first argument led to where the file is; `of_store` of what is in a store."""

    def call(path=".", *args, **kwargs):
        place = _place(path)
        return plain(real(path), *args, **kwargs) if place is None else of_store(*place)

    return call


def _changing(plain: Callable, name: str) -> Callable:
    """A function that changes something: in memory, in the sandbox, and nowhere else."""

    def call(path, *args, **kwargs):
        place = _place(path)
        if place is None:
            _refuse_writing(path)
            return plain(real(path), *args, **kwargs)
        store, text = place
        if store is not MEMORY:
            raise _read_only(text)
        return getattr(MEMORY, name)(text)

    return call


def _renaming(plain: Callable) -> Callable:
    def call(path, to, **kwargs):
        source, target = _place(path), _place(to)
        if source is None and target is None:
            return plain(real(path), real(to), **kwargs)
        if source is None or target is None or source[0] is not MEMORY or target[0] is not MEMORY:
            # As between two disks: whoever moves a file copies it then.
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        return MEMORY.rename(source[1], target[1])

    return call


def _store_os_open(store: Any, path: str) -> int:
    raise OSError(errno.ENOSYS, "there is no descriptor of this file: use `open`", path)


def install() -> None:
    """Leads the functions of Python that take the path of a file. Once."""
    builtins.open = io.open = open_file
    # What reads sources for tracebacks keeps the function under a name of its own.
    tokenize._builtin_open = open_file
    os.stat = _led(_stat, _store_stat)
    os.lstat = _led(_lstat, _store_stat)
    os.listdir = _led(_listdir, _store_list)
    os.scandir = _scan
    os.access = _led(_access, lambda store, path: store.is_file(path) or store.is_folder(path))
    os.open = _led(_os_open, _store_os_open)
    os.mkdir = _changing(os.mkdir, "mkdir")
    os.rmdir = _changing(os.rmdir, "rmdir")
    os.remove = os.unlink = _changing(os.unlink, "remove")
    os.rename, os.replace = _renaming(os.rename), _renaming(os.replace)
    os.supports_follow_symlinks = os.supports_follow_symlinks | {os.stat}
    memory.install()


def enter(flow: str | None, granted: bool) -> None:
    """Makes the flow folder the current one. `flow` is where it really is; none: where its name says.

    Raises OSError if there is no such folder.
    """
    if flow is None:
        os.chdir(FLOW)
    Roots.flow, Roots.granted = flow, granted
    _granted.clear()
    MEMORY.clear()
    Roots.temporary = _is_there(TEMPORARY)
    os.getcwd = _getcwd if flow is None else lambda: FLOW


def _is_there(folder: str) -> bool:
    try:
        _stat(folder)
    except OSError:
        return False
    return True
