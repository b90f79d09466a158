"""What is asked of the pod when names can't be written, or are too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from devcluster.rules.cluster.memory_variables import Figure
from devcluster.rules.volume.tarstream import END, TarReader
from devcluster.rules.volume.tree import Entry, render_entry
from devcluster.run.volume.manifest import (
    FileRewrite,
    Manifest,
    load_manifest,
    save_manifest,
    settle_pending,
)
from devcluster.run.volume.one_fill import Rewriting
from devcluster.run.volume.private_copy import render_size, request_paths
from devcluster.run.volume.single_file import SingleSource


def test_a_name_that_is_no_utf8_is_asked_for_by_its_directory() -> None:
    assert request_paths(("a/b", "a/\udcff", "c")) == ("a", "c")
    assert request_paths(("\udcff", "c")) == (".",)


def test_too_many_names_are_asked_for_by_their_directories() -> None:
    paths = (*(f"{top}/{number:03}" for top in "ab" for number in range(100)), "c")
    assert request_paths(paths, limit=1000) == ("a", "b", "c")
    assert request_paths(paths, limit=1) == (".",)
    assert request_paths(paths) == tuple(sorted(paths))


def test_a_files_memory_is_told_without_the_agents_share() -> None:
    plain = Rewriting(("mem",), (), "shop")
    rewriting = replace(plain, figures=(Figure("mem", "304", "256"),))
    assert rewriting.apply("mem", b"304") == (b"256", ())
    assert rewriting.apply("mem", b"300") == (b"300", ())  # somebody gave it another limit meanwhile
    assert rewriting.apply("other", b"304") == (b"304", ())
    assert rewriting.digest != plain.digest


def file(path: str, mtime: int, size: int = 1) -> Entry:
    return Entry(path, "f", 0o644, 0, 0, size, mtime)


def test_a_manifest_is_private_and_comes_back(tmp_path: Path) -> None:
    odd = file("odd-\udcff", 7)
    rewrites = (FileRewrite("a", 1, "db", "db.x"),)
    made = Manifest("id", {"a": file("a", 1)}, {odd.path: odd}, {}, rewrites, ("a",), "d")
    path = tmp_path / "volumes" / "a.json"
    save_manifest(path, made)
    assert load_manifest(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(path.read_text()[:40])
    assert load_manifest(path) is None


def test_after_a_break_what_came_counts_and_half_a_file_comes_again() -> None:
    pending = {name: file(name, 5, 100) for name in ("whole", "half", "missing", "old")}
    old = file("old", 1)
    local = {"whole": file("whole", 5, 120), "half": file("half", 9, 30), "old": old}
    for atomic, known in ((False, {"whole", "half", "old"}), (True, {"whole", "old"})):
        manifest = Manifest(pod={"old": old}, local={"old": old}, pending=dict(pending))
        settle_pending(manifest, local, atomic=atomic)
        assert manifest.pod == {"old": old, "whole": pending["whole"]}
        assert manifest.local.keys() == known
        assert manifest.pending == {}


def test_sizes() -> None:
    assert [render_size(size) for size in (0, 1023, 1024, 3 << 20, 5 << 30)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]


class Unreadable:
    """What the agent says of a file that its user may not read."""

    async def scan(self, root: str, exclude: Sequence[str]) -> list[dict[str, Any]]:
        return [render_entry(Entry(".", "f", 0o400, 5, 6, 12, 7))]

    async def pack(
        self, root: str, exclude: Sequence[str], paths: Sequence[str] | None
    ) -> AsyncIterator[bytes]:
        yield END


def test_a_file_that_nobody_may_read_is_mounted_unreadable() -> None:
    async def first() -> Entry:
        member = await TarReader(SingleSource(Unreadable(), "key").pack("/x", (), None)).next()
        assert member is not None
        return member.entry

    assert asyncio.run(first()) == Entry("key", "f", 0o400, 5, 6, 0, 7)
