"""``path:`` for a laptop's user who is not root: what of the pod's files he can have."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - who is nobody may not be able to read the library
import os
import tempfile
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.folder.folder import FolderDestination
from devcluster.edge.folder.one_file import FileDestination
from devcluster.rules.volume.tarstream import END, padding, render_head
from devcluster.rules.volume.tree import Entry, render_entry
from devcluster.run.volume.private_copy import CopySpec, FillDestination, fill_volume

NOBODY = 65534
OLD = 1_600_000_000_123_456_789
TEXT = b"text\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@dataclass(frozen=True, slots=True)
class Pod:
    """A volume that belongs to somebody else."""

    entries: tuple[Entry, ...]

    async def scan(self, root: str, exclude: Sequence[str]) -> list[dict[str, Any]]:
        return [render_entry(entry) for entry in self.entries]

    async def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]:
        for entry in self.entries:
            content = TEXT if entry.type == "f" else b""
            yield render_head(entry) + content + padding(len(content))
        yield END


@pytest.fixture
def folder() -> Iterator[Path]:
    """Nobody's own, where nobody can come."""
    with tempfile.TemporaryDirectory(prefix="devcluster-test-", dir=tempfile.gettempdir()) as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def as_nobody(work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def fill_twice(pod: Pod, target: FillDestination, folder: Path) -> None:
    """The owners are others for ever: that alone must not be a change."""

    async def both() -> list[int]:
        spec = CopySpec("/x", folder / "known.json")
        fills = [await fill_volume(pod, target, spec) for _ in range(2)]
        return [fill.changed for fill in fills]

    assert asyncio.run(both()) == [len(pod.entries), 0]


def test_a_folder_has_modes_and_times(folder: Path) -> None:
    pod = Pod(
        (
            Entry(".", "d", 0o2550, 1001, 33, 0, OLD),
            Entry("run", "f", 0o4750, 1001, 33, len(TEXT), OLD),
            Entry("way", "l", 0o777, 1001, 33, 0, OLD, "run"),
        )
    )
    as_nobody(lambda: fill_twice(pod, FolderDestination(folder / "copy"), folder))
    top, run = (folder / "copy").stat(), (folder / "copy" / "run").stat()
    assert (top.st_mode & 0o7777, top.st_uid) == (0o750, NOBODY)  # he can write into his copy
    assert (run.st_mode & 0o7777, run.st_uid, run.st_mtime_ns) == (0o750, NOBODY, OLD)
    assert (folder / "copy" / "way").readlink() == Path("run")


def test_a_single_file_has_mode_and_time(folder: Path) -> None:
    pod = Pod((Entry("app.conf", "f", 0o440, 0, 2001, len(TEXT), OLD),))
    as_nobody(lambda: fill_twice(pod, FileDestination(folder / "mine.conf", "app.conf"), folder))
    found = (folder / "mine.conf").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime_ns) == (0o440, NOBODY, OLD)
    assert (folder / "mine.conf").read_bytes() == TEXT
