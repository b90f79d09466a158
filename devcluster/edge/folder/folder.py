"""A tree in a folder of the laptop (``path:``): listed as the agent lists its own, and filled.

What comes in is a stream of tar; ``writer`` writes it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from devcluster.edge.folder.walk import scan
from devcluster.edge.folder.writer import FolderWriter, write_all
from devcluster.errors import ConfigurationError, FailedError
from devcluster.rules.volume.tarstream import Member, TarReader
from devcluster.rules.volume.tree import render_entry

_SMALL = 1 << 20  # a file up to this size is one call of a thread


class FolderDestination:
    """*folder* need not exist; *private*: nobody else fills it; ``owners``: whether this user can give files
    away."""

    def __init__(self, folder: Path, *, private: bool = False) -> None:
        self.folder = folder
        self._private = private
        self.name = str(folder)
        self.atomic = True
        self.owners = os.geteuid() == 0
        self._stale: tuple[str, ...] = ()  # parts of files, of a fill that was killed

    def check(self, *, ours: bool) -> None:
        """ConfigurationError for a folder that somebody else filled."""
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise ConfigurationError(f"{self.folder} is not a folder", hint="choose another `path`")
        foreign = not ours and not self._private
        if foreign and self.folder.exists() and any(self.folder.iterdir()):
            raise ConfigurationError(
                f"{self.folder} holds files that did not come from this volume",
                hint="move them away, or choose another `path`",
            )

    async def identity(self) -> str:
        """'' if there is no folder; ``scan`` tells what is in it."""
        return "folder" if self.folder.is_dir() else ""

    async def ensure(self) -> str:
        await asyncio.to_thread(make_folder, self.folder)
        return await self.identity()

    async def scan(self, exclude: Sequence[str]) -> list[dict[str, Any]]:
        """The lines that the agent's ``scan`` would give."""
        stale: list[str] = []
        lines = await asyncio.to_thread(
            lambda: [render_entry(item) for item in scan(self.folder, exclude, stale)]
        )
        self._stale = tuple(stale)
        return lines

    async def apply(self, delete: Sequence[str], stream: AsyncIterator[bytes]) -> None:
        """Remove, then unpack; FailedError names what could not be written."""
        await self.ensure()
        try:
            writer = await asyncio.to_thread(FolderWriter, self.folder, self.owners)
        except OSError as error:
            raise FailedError(f"can't open {self.folder}: {error.strerror}") from error
        try:
            await asyncio.to_thread(writer.delete, (*self._stale, *delete))
            reader = TarReader(stream)
            while (member := await reader.next()) is not None:
                await _unpack(writer, reader, member)
            await asyncio.to_thread(writer.finish)
        except OSError as error:
            raise FailedError(
                f"can't write into {self.folder}: {error.strerror}: {error.filename}"
            ) from error
        finally:
            writer.close()


def make_folder(folder: Path) -> None:
    """FailedError where it can't be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedError(f"can't create {folder}: {error.strerror}", hint="choose another `path`") from error


async def _unpack(writer: FolderWriter, reader: TarReader, member: Member) -> None:
    entry = member.entry
    if member.left_out:
        await asyncio.to_thread(writer.delete, (entry.path,))
        return
    if entry.type != "f":
        await asyncio.to_thread(writer.make, entry)
        return
    if entry.size <= _SMALL and not member.sparse:
        parts = [part async for _, part in reader.pieces()]
        await asyncio.to_thread(writer.write_small, entry, b"".join(parts))
        return
    part_name, descriptor = await asyncio.to_thread(writer.begin, entry)
    try:
        await write_pieces(descriptor, reader, entry.size)
        await asyncio.to_thread(writer.end, entry, part_name)
    finally:
        writer.discard(part_name)
        os.close(descriptor)


async def write_pieces(descriptor: int, reader: TarReader, size: int) -> None:
    """Write the current member's file into an empty one; holes are left out."""
    async for offset, part in reader.pieces():
        await asyncio.to_thread(write_all, descriptor, part, offset)
    os.truncate(descriptor, size)
