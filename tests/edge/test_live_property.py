"""Nothing is lost, whatever both sides do and whenever the link between them is cut: random sequences, by a
real engine and a real agent.

DEVCLUSTER_LIVE_MINUTES: for so long instead of a few sequences (`scripts/test.sh soak`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from devcluster.edge.folder.folder import FolderDestination
from devcluster.rules.volume.live import Left
from tests.edge.live_world import MOUNT, Laptop, Pod, open_laptop, open_pod, site_of, spec_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root to be made")
MINUTES = float(os.environ.get("DEVCLUSTER_LIVE_MINUTES", "0"))
NAMES = ("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a")


@dataclass(frozen=True, slots=True)
class Step:
    """``do`` to ``name`` on ``side`` (0 the pod, 1 the laptop), or to the link."""

    do: str
    side: int = 0
    name: str = ""
    other: str = ""


_SIDE, _NAME = st.integers(0, 1), st.sampled_from(NAMES)
_FILES = st.builds(
    Step, st.sampled_from(["write", "append", "truncate", "delete", "mkdir", "chmod", "link"]), _SIDE, _NAME
)
_STEPS = st.one_of(
    _FILES,
    _FILES,
    st.builds(Step, st.just("rename"), _SIDE, _NAME, _NAME),
    st.builds(Step, st.sampled_from(["cut", "join", "wait", "settle"])),
)


@dataclass(slots=True)
class _Sides:
    """Two folders, and of each file the text that was written last on a side, until something else touched
    it."""

    folders: tuple[Path, Path]
    written: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    count: int = 0

    def apply(self, step: Step) -> None:
        """What is not possible there is nothing."""
        path = self.folders[step.side] / step.name
        inner = step.do in ("write", "append", "truncate", "chmod")
        if any(it.is_symlink() for it in (*path.parents, *([path] if inner else []))):
            return  # it would be done to another name
        try:
            match step.do:
                case "write" | "append":
                    self.count += 1
                    text = f"{self.count} {'x' * (self.count % 7 * 20_000)}"
                    with path.open("w" if step.do == "write" else "a") as file:
                        file.write(text)
                    self._touched(step.name)
                    self.written[step.side][step.name] = path.read_text()
                case "truncate":
                    os.truncate(path, 1)
                    self._touched(step.name)
                case "delete":
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                    self._touched(step.name)
                case "mkdir":
                    path.mkdir()
                    self._touched(step.name)
                case "chmod":
                    path.chmod(0o700 + self.count % 8)
                case "link":
                    path.symlink_to("nowhere")
                    self._touched(step.name)
                case "rename":
                    path.rename(self.folders[step.side] / step.other)
                    self._touched(step.name)
                    self._touched(step.other)
        except OSError:
            return

    def _touched(self, name: str) -> None:
        """Of what was there, and below it, nothing is known any more."""
        for written in self.written:
            for path in [it for it in written if _within(it, name) or _within(name, it)]:
                del written[path]


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


@pytest.fixture(scope="module")
def pod() -> Iterator[Pod]:
    with tempfile.TemporaryDirectory(prefix="devcluster-live-") as name:
        folder, etc = Path(name) / "pod", Path(name) / "etc"
        folder.mkdir()
        loop = asyncio.new_event_loop()
        opened = open_pod(folder, etc)
        try:
            yield loop.run_until_complete(opened.__aenter__())
        finally:
            loop.run_until_complete(opened.__aexit__(None, None, None))
            loop.close()


def test_nothing_is_lost(pod: Pod) -> None:
    @settings(
        max_examples=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # a race does not come again for whoever makes it smaller
        database=None,
    )
    @given(steps=st.lists(_STEPS, min_size=5, max_size=30))
    def some(steps: list[Step]) -> None:
        with tempfile.TemporaryDirectory(prefix="devcluster-live-") as name:
            for entry in pod.folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
            asyncio.run(_play(pod, Path(name), steps))

    end = time.monotonic() + 60 * MINUTES
    some()
    while time.monotonic() < end:
        some()


async def _play(pod: Pod, folder: Path, steps: list[Step]) -> None:
    sides = _Sides((pod.folder, folder / "here"))
    site = site_of(folder / "state")
    destination = FolderDestination(sides.folders[1])
    async with open_laptop(site, spec_of(hosted=True), destination) as laptop, AsyncExitStack() as last:
        link = await _joined(laptop, pod)
        assert not await laptop.flush()
        for step in steps:
            match step.do:
                case "cut":
                    await link.aclose()
                case "join":
                    await link.aclose()
                    link = await _joined(laptop, pod)
                case "wait":
                    await asyncio.sleep(0.06)
                case "settle":
                    await laptop.flush(0.5)
                case _:
                    sides.apply(step)
        await link.aclose()
        last.push_async_callback((await _joined(laptop, pod)).aclose)
        left = await laptop.flush(30)
        assert left.reached
        assert not left.pending
        _check(sides, left, steps)


async def _joined(laptop: Laptop, pod: Pod) -> AsyncExitStack:
    stack = AsyncExitStack()
    await stack.enter_async_context(laptop.led(pod))
    return stack


def _check(sides: _Sides, left: Left, steps: list[Step]) -> None:
    named = [path.removeprefix(f"{MOUNT}/") for path, _ in left.paths]
    trees = [_tree(folder) for folder in sides.folders]

    def is_named(path: str) -> bool:
        return any(_within(path, it) or _within(it, path) for it in named)

    differing = [path for path in {*trees[0], *trees[1]} if trees[0].get(path) != trees[1].get(path)]
    assert [path for path in sorted(differing) if not is_named(path)] == [], (left, steps, trees)
    for side, written in enumerate(sides.written):
        for path, text in written.items():
            own = trees[side].get(path, ("", 0))[0]
            assert own == text or is_named(path), (side, path, text[:20], own[:20], left, steps)


def _tree(folder: Path) -> dict[str, tuple[str, int]]:
    """Of each name what it is and its mode; a link's and a folder's say nothing of text."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (f"-> {path.readlink()}", 0)
        elif path.is_dir():
            found[name] = ("folder", path.stat().st_mode)
        else:
            found[name] = (path.read_text(), path.stat().st_mode)
    return found
