"""A single file of the laptop (``path:`` of a mount that is one file), listed and filled as a tree with one
name.

Its neighbours in the folder are left alone: only this name is looked at.  It is replaced by a rename, so that
an interrupted fill leaves no half-written file.  The tree uses the pod's name for it; on the laptop it has
the name that the user chose.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from devcluster.edge.folder.folder import make_folder, write_pieces
from devcluster.edge.folder.walk import PART
from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.volume.tarstream import TarReader
from devcluster.rules.volume.tree import Entry, render_entry


class FileDestination:
    """*path* need not exist; *entry*: its name in the tree; ``owners``: whether this user can give files
    away."""

    def __init__(self, path: Path, entry: str) -> None:
        self.path = path
        self.name = str(path)
        self.atomic = True
        self.owners = os.geteuid() == 0
        self._entry = entry

    def check(self, *, ours: bool) -> None:
        """ConfigurationError for a file that did not come from here."""
        if self.path.is_symlink() or (self.path.exists() and not self.path.is_file()):
            raise ConfigurationError(
                f"{self.path} is not a file, but the volume is a single file", hint="choose another `path`"
            )
        if not ours and self.path.exists():
            raise ConfigurationError(
                f"{self.path} did not come from this volume", hint="move it away, or choose another `path`"
            )

    async def identity(self) -> str:
        """'' when there is no such file."""
        return "file" if self.path.is_file() else ""

    async def ensure(self) -> str:
        """Make its folder; the file itself comes with the fill."""
        await asyncio.to_thread(make_folder, self.path.parent)
        return "file"

    async def scan(self, exclude: Sequence[str]) -> list[dict[str, Any]]:
        """The line that the agent's ``scan`` would give; [] when the file is not there."""
        try:
            found = await asyncio.to_thread(os.lstat, self.path)
        except FileNotFoundError:
            return []
        mode, times = stat.S_IMODE(found.st_mode), found.st_mtime_ns
        entry = Entry(self._entry, "f", mode, found.st_uid, found.st_gid, found.st_size, times)
        return [render_entry(entry)]

    async def apply(self, delete: Sequence[str], stream: AsyncIterator[bytes]) -> None:
        """Remove, then write; FailedError names what could not be written."""
        await self.ensure()
        try:
            if self._entry in delete:
                self.path.unlink(missing_ok=True)
            reader = TarReader(stream)
            while (member := await reader.next()) is not None:
                if member.entry.type != "f" or member.entry.path != self._entry:
                    continue
                if member.left_out:
                    self.path.unlink(missing_ok=True)
                else:
                    await self._write(member.entry, reader)
        except OSError as error:
            raise FailedError(f"can't write {self.path}: {error.strerror}") from error

    async def _write(self, entry: Entry, reader: TarReader) -> None:
        part = self.path.with_name(PART + secrets.token_hex(6))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(part, flags, 0o600)
        try:
            await write_pieces(descriptor, reader, entry.size)
            self._attributes(descriptor, entry)
            part.replace(self.path)
        finally:
            os.close(descriptor)
            part.unlink(missing_ok=True)

    def _attributes(self, descriptor: int, entry: Entry) -> None:
        """The owner first: a change of owner clears set-user-ID."""
        if self.owners:
            os.fchown(descriptor, entry.uid, entry.gid)
        os.fchmod(descriptor, entry.mode if self.owners else entry.mode & 0o1777)
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
