"""The sandbox's programs: compiled once, in sight, with a word of how long; nothing half-made is kept."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path

import pytest

from devcluster.run.report import Progress
from devcluster.sandbox import build

_PAUSE = build.GoProgram("pause", "node", "./cmd/pause", "pause")


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, of which Go knows the packages below and not the program."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "_EVERY", 0.0)  # each package is told, not the count of ten seconds
    target = tmp_path / "sources"
    shutil.copytree(build.sandbox_sources() / "node", target / "node")
    _change(target)
    return target


def _change(sources: Path) -> None:
    with (sources / "node/cmd/pause/main.go").open("a") as file:
        file.write(f'\nfunc init() {{ println("{secrets.token_hex(8)}") }}\n')


def _cached(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache").rglob("*") if path.is_file())


async def test_a_program_is_compiled_once_and_visibly(sources: Path, tmp_path: Path) -> None:
    told: list[str] = []

    def report(progress: Progress) -> None:
        told.append(progress.text)

    first = await build._ensure_program(_PAUSE, sources, "amd64", report)
    assert first.read_bytes().startswith(b"\x7fELF")
    assert told[0] == "compiling pause"
    assert any(" packages, " in text for text in told[1:])
    told.clear()
    assert await build._ensure_program(_PAUSE, sources, "amd64", report) == first
    assert told == []

    _change(sources)
    second = await build._ensure_program(_PAUSE, sources, "amd64", report)
    assert second != first
    assert second.read_bytes() != first.read_bytes()
    assert _cached(tmp_path) == ["pause", "pause"]


async def test_what_is_broken_off_leaves_nothing(sources: Path, tmp_path: Path) -> None:
    begun = asyncio.Event()

    def report(progress: Progress) -> None:
        if " packages, " in progress.text:  # the compiler is at it, and has something to write yet
            begun.set()

    building = asyncio.create_task(build._ensure_program(_PAUSE, sources, "amd64", report), name="build")
    await begun.wait()
    building.cancel()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert _cached(tmp_path) == []


def test_the_long_ones_say_how_long_the_first_time() -> None:
    words = {program.name: program.words for program in build._PROGRAMS}
    assert "minutes the first time" in words["kube"]
    assert "minutes the first time" in words["coredns"]
