"""`open` and its like for files that are no files of the sandbox.

| | is read from |
| --- | --- |
| `/site/…` | the archive: see archive.py |
| `/flow/…`, and what has a relative path, where the host grants `/flow` | there, by the sandbox's own means |
| the same, where it does not | the archive; else the folders of the flow that `grants.files` names, which are at the root: `/flow/data/a.txt` is `/data/a.txt` |
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
from collections.abc import Callable
from typing import Any

from .archive import ARCHIVE, FLOW, SITE


class Roots:
    """Where the flow folder is now, without a slash at its end. None: where its name says."""

    flow: str | None = None
    #: Whether all of it is there, or only some folders.
    granted = True


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


def _archived(path: Any) -> str | None:
    """The path in the archive, if that is where it is."""
    if isinstance(path, (int, bytes)):
        return None
    text = os.fspath(path)
    if not isinstance(text, str):
        return None
    text = posixpath.normpath(text if text.startswith("/") else posixpath.join(FLOW, text))
    if _below(text, SITE):
        return text
    here = not Roots.granted and _below(text, FLOW) and (ARCHIVE.is_file(text) or ARCHIVE.is_folder(text))
    return text if here and not _is_granted(text) else None


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


def _archive_open(path: str, mode: str, encoding, errors, newline):
    if set(mode) & set("wax+"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    if not ARCHIVE.is_file(path):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", path) if ARCHIVE.is_folder(path) else _missing(path)
    file = io.BytesIO(ARCHIVE.read(path))
    if "b" in mode:
        return file
    return io.TextIOWrapper(file, encoding or "utf-8", errors, newline)


def _archive_stat(path: str) -> os.stat_result:
    if ARCHIVE.is_file(path):
        return os.stat_result((stats.S_IFREG | 0o444, 0, 0, 1, 0, 0, ARCHIVE.size_of(path), 0, 0, 0))
    if ARCHIVE.is_folder(path):
        return os.stat_result((stats.S_IFDIR | 0o555, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    raise _missing(path)


def open_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    path = _archived(file)
    if path is not None and (_below(path, SITE) or not set(mode) & set("wax+")):
        return _archive_open(path, mode, encoding, errors, newline)
    return _open(real(file), mode, buffering, encoding, errors, newline, closefd, opener)


class _Entry:
    """What `os.scandir` gives of a folder of the archive."""

    def __init__(self, folder: str, name: str):
        self.name, self.path = name, posixpath.join(folder, name)

    def __fspath__(self) -> str:
        return self.path

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return ARCHIVE.is_folder(self.path)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        return ARCHIVE.is_file(self.path)

    def is_symlink(self) -> bool:
        return False

    def is_junction(self) -> bool:
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _archive_stat(self.path)


class _Entries:
    def __init__(self, folder: str):
        if not ARCHIVE.is_folder(folder):
            raise _missing(folder)
        self._entries = iter([_Entry(folder, name) for name in ARCHIVE.list(folder)])

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


def _led(plain: Callable, archived: Callable) -> Callable:
    """`plain` with its first argument led to where the file is; `archived` of what is in the archive."""

    def call(path=".", *args, **kwargs):
        found = _archived(path) if path is not None else None
        return plain(real(path) if path is not None else path, *args, **kwargs) if found is None else archived(found)

    return call


def _archive_list(path: str) -> list[str]:
    if not ARCHIVE.is_folder(path):
        raise _missing(path)
    return ARCHIVE.list(path)


def _archive_access(path: str) -> bool:
    return ARCHIVE.is_file(path) or ARCHIVE.is_folder(path)


def install() -> None:
    """Leads the functions of Python that take the path of a file. Once."""
    builtins.open = io.open = open_file
    os.stat = _led(_stat, _archive_stat)
    os.lstat = _led(_lstat, _archive_stat)
    os.listdir = _led(_listdir, _archive_list)
    os.scandir = _led(_scandir, _Entries)
    os.access = _led(_access, _archive_access)
    os.open = _led(_os_open, lambda path: (_ for _ in ()).throw(_missing(path)))
    os.supports_follow_symlinks = os.supports_follow_symlinks | {os.stat}


def enter(flow: str | None, granted: bool) -> None:
    """Makes the flow folder the current one. `flow` is where it really is; none: where its name says.

    Raises OSError if there is no such folder.
    """
    if flow is None:
        os.chdir(FLOW)
    Roots.flow, Roots.granted = flow, granted
    _granted.clear()
    os.getcwd = _getcwd if flow is None else lambda: FLOW
