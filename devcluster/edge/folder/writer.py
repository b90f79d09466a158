"""What is written into a folder that others may change meanwhile: one entry after the other, blocking.

Rules:
- nothing outside the folder is touched, whatever the stream names: each directory on the way is opened
  separately and never through a link, so a link that was planted in the copy leads nowhere;
- a file is written under another name and then renamed: an interrupted fill leaves no half-written file;
- owners are set as far as the user may: root sets the pod's; anybody else keeps his own and sets mode and
  time;
- directories get their final modes and times last, because what is put into them changes both.  Until then
  their readers can use them and their owner can write.

The naive way, ``tarfile.extractall``, follows links in the destination and rounds times.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from devcluster.edge.folder.walk import PART
from devcluster.errors import FailedError
from devcluster.rules.volume.projected import DATA
from devcluster.rules.volume.tree import Entry

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderWriter:
    """Blocking.  One directory is open at a time, that of the last entry."""

    def __init__(self, folder: Path, owners: bool) -> None:
        self._owners = owners
        self._root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._at = ""
        self._directory = -1
        self._finish: dict[str, Entry] = {}
        self._times: dict[str, int] = {}

    def close(self) -> None:
        self._leave()
        os.close(self._root)

    def _leave(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)
        self._directory, self._at = -1, ""

    def _enter(self, path: str) -> tuple[int, str]:
        """The directory of *path*, opened, and its last name."""
        parent, _, base = path.rpartition("/")
        if base in ("", ".", "..") or path[0] == "/" or "\0" in path:
            raise FailedError(f"the pod sent a path that leads out of the volume: {path!r}")
        if self._directory < 0 or parent != self._at:
            self._leave()
            self._directory = self._open(parent)
            self._at = parent
            self._times.setdefault(parent or ".", os.fstat(self._directory).st_mtime_ns)
        return self._directory, base

    def _open(self, path: str, *, make: bool = True) -> int:
        current = os.dup(self._root)
        for name in path.split("/") if path else ():
            if name in ("", ".", ".."):
                os.close(current)
                raise FailedError(f"the pod sent a path that leads out of the volume: {path!r}")
            try:
                below = _open_directory(current, name, make=make)
            finally:
                os.close(current)
            current = below
        return current

    def delete(self, paths: Sequence[str]) -> None:
        """One by one.  A directory that still holds something (what ``exclude`` hides) stays."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                parent, _, base = path.rpartition("/")
                directory = self._open(parent, make=False)
                try:
                    _remove_one(directory, base)
                finally:
                    os.close(directory)

    def make(self, entry: Entry) -> None:
        if entry.path == ".":
            self._finish["."] = entry
            return
        directory, base = self._enter(entry.path)
        if entry.type == "d":
            self._finish[entry.path] = entry
            if _make_directory(directory, base):
                self._open_up(directory, base, entry)
            return
        part = PART + secrets.token_hex(6)
        if base == DATA:  # who watches the folder sees the two names that kubelet uses
            part = f"{DATA}_tmp"
            with contextlib.suppress(FileNotFoundError):  # of a fill that was killed
                os.unlink(part, dir_fd=directory)
        if entry.type == "l":
            os.symlink(entry.link, part, dir_fd=directory)
        elif entry.type == "p":
            os.mkfifo(part, 0o600, dir_fd=directory)
        else:
            self._link(entry, directory, part)
        if entry.type != "h":
            self._attributes(directory, part, entry)
        _replace(directory, part, base)

    def _open_up(self, directory: int, name: str, entry: Entry) -> None:
        """Let others use the directory now: a link may lead into it before everything is done."""
        made = os.open(name, _OPEN, dir_fd=directory)
        try:
            if self._owners:
                os.fchown(made, entry.uid, entry.gid)
            os.fchmod(made, self._mode(entry) | 0o700)
        finally:
            os.close(made)

    def _link(self, entry: Entry, directory: int, part: str) -> None:
        parent, _, base = entry.link.rpartition("/")
        source = self._open(parent, make=False)
        try:
            os.link(base, part, src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(source)

    def write_small(self, entry: Entry, content: bytes) -> None:
        part, descriptor = self.begin(entry)
        try:
            write_all(descriptor, content, 0)
            self.end(entry, part)
        finally:
            self.discard(part)
            os.close(descriptor)

    def begin(self, entry: Entry) -> tuple[str, int]:
        directory, _ = self._enter(entry.path)
        part = PART + secrets.token_hex(6)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return part, os.open(part, flags, 0o600, dir_fd=directory)

    def discard(self, part: str) -> None:
        """Remove what ``begin`` made in the open directory, unless ``end`` has moved it into place."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part, dir_fd=self._directory)

    def end(self, entry: Entry, part: str) -> None:
        directory, base = self._enter(entry.path)
        self._attributes(directory, part, entry)
        _replace(directory, part, base)

    def _attributes(self, directory: int, name: str, entry: Entry) -> None:
        """The owner first: a change of owner clears set-user-ID."""
        if self._owners:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory, follow_symlinks=False)
        if entry.type != "l":
            os.chmod(name, self._mode(entry), dir_fd=directory)
        times = (entry.mtime_ns, entry.mtime_ns)
        os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)

    def _mode(self, entry: Entry) -> int:
        return entry.mode if self._owners else entry.mode & 0o1777  # set-user-ID of another user is none

    def finish(self) -> None:
        """Directories, the deepest first.  One that the stream did not name keeps its time."""
        self._leave()
        for path in sorted(self._finish.keys() | self._times.keys(), key=len, reverse=True):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                directory = self._open("" if path == "." else path, make=False)
                try:
                    self._finish_one(directory, path)
                finally:
                    os.close(directory)

    def _finish_one(self, directory: int, path: str) -> None:
        entry = self._finish.get(path)
        time = self._times[path] if entry is None else entry.mtime_ns
        if entry is not None:
            if self._owners:
                os.fchown(directory, entry.uid, entry.gid)
            os.fchmod(directory, self._mode(entry) | (0 if self._owners else 0o700))
        os.utime(directory, ns=(time, time))


def write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _open_directory(directory: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=directory)
    except FileNotFoundError:
        if not make:
            raise
    os.mkdir(name, 0o700, dir_fd=directory)
    return os.open(name, _OPEN, dir_fd=directory)


def _make_directory(directory: int, name: str) -> bool:
    """False where it already exists."""
    try:
        os.mkdir(name, 0o700, dir_fd=directory)
    except FileExistsError:
        if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
            return False
        os.unlink(name, dir_fd=directory)
        os.mkdir(name, 0o700, dir_fd=directory)
    return True


def _replace(directory: int, part: str, name: str) -> None:
    """Rename; a directory in the way is removed.  If both are names of one inode the rename does nothing, so
    clean up."""
    try:
        os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    except (IsADirectoryError, FileExistsError, OSError):
        found = os.lstat(name, dir_fd=directory)
        if not stat.S_ISDIR(found.st_mode):
            raise
        _remove(directory, name)
        os.rename(part, name, src_dir_fd=directory, dst_dir_fd=directory)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part, dir_fd=directory)


def _remove_one(directory: int, name: str) -> None:
    if not stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
        os.unlink(name, dir_fd=directory)
        return
    try:
        os.rmdir(name, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:
            raise


def _remove(directory: int, name: str) -> None:
    found = os.lstat(name, dir_fd=directory)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    below = os.open(name, _OPEN, dir_fd=directory)
    try:
        for child in os.listdir(below):
            _remove(below, child)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=directory)
