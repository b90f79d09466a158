"""One live volume by a real engine and a real agent: as a plain process in a folder, and in Docker."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devcluster.edge.docker.engine import Engine
from devcluster.edge.docker.files import VolumeDestination
from devcluster.edge.folder.folder import FolderDestination
from devcluster.run.volume.one_fill import Rewriting
from tests.edge.clean_engine import clean_engine
from tests.edge.live_world import PROJECT, Pod, open_laptop, open_pod, site_of, spec_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root to be made")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with clean_engine(PROJECT) as opened:
        yield opened


@pytest.fixture
async def pod(engine: Engine, tmp_path: Path) -> AsyncIterator[Pod]:
    folder = tmp_path / "pod"
    folder.mkdir()
    (folder / "both").write_text("first\n")
    (folder / "wp-config.php").write_text("define( 'DB_HOST', 'db' );\n")
    async with open_pod(folder, tmp_path / "etc") as opened:
        yield opened


async def test_both_sides_are_alike_and_a_conflict_is_decided(pod: Pod, tmp_path: Path) -> None:
    here, site = tmp_path / "here", site_of(tmp_path / "state")
    rewrite = Rewriting(("wp-config.php",), ("db",), "shop")
    spec = spec_of(hosted=True, rewrite=rewrite)
    async with open_laptop(site, spec, FolderDestination(here)) as laptop:
        async with laptop.led(pod):
            assert not await laptop.flush()
            assert (here / "both").read_text() == "first\n"
            assert "'db.shop'" in (here / "wp-config.php").read_text()
            (here / "made").write_text("here\n")
            await laptop.until(lambda _: (pod.folder / "made").exists())
            (pod.folder / "theirs").write_text("there\n")
            await laptop.until(lambda _: (here / "theirs").exists())
            (here / "wp-config.php").write_text("define( 'DB_HOST', 'db.shop' );\n// mine\n")
            await laptop.until(lambda _: "mine" in (pod.folder / "wp-config.php").read_text())
            assert (pod.folder / "wp-config.php").read_text() == "define( 'DB_HOST', 'db' );\n// mine\n"
        (here / "both").write_text("here\n")
        (pod.folder / "both").write_text("there\n")
        async with laptop.led(pod):
            left = await laptop.flush()
            assert [path for path, _ in left.paths] == ["/data/both"]
            assert ((here / "both").read_text(), (pod.folder / "both").read_text()) == ("here\n", "there\n")
            assert await laptop.keep("laptop", "both") == ()
            assert not await laptop.flush()
            assert (pod.folder / "both").read_text() == "here\n"
            assert await laptop.keep("pod", "both") == ("both",)
    assert [it.to for it in laptop.volume.rewrites] == ["db.shop"]


async def test_a_docker_volume_goes_on_after_a_pause_without_copying(
    engine: Engine, pod: Pod, tmp_path: Path
) -> None:
    site = site_of(tmp_path / "state", engine)
    size = 6 + 27 + sum(len(f"{name}\n") for name in range(20))
    for name in range(20):
        (pod.folder / f"n{name}").write_text(f"{name}\n")
    for turn in range(2):
        destination = VolumeDestination(engine, PROJECT, "web", "data")
        async with open_laptop(site, spec_of(hosted=False), destination) as laptop, laptop.led(pod):
            assert not await laptop.flush()
            expected = 0 if turn else size
            await laptop.until(
                lambda row, sent=expected, told=laptop.volume: (
                    (row["files"], told._status["state"], told._status["received_bytes"])
                    == (22, "settled", sent)
                )
            )
    lines = await VolumeDestination(engine, PROJECT, "web", "data").scan(())
    assert {line["path"] for line in lines} >= {"n0", "n19", "both"}


async def test_a_database_that_comes_to_be_is_named(pod: Pod, tmp_path: Path) -> None:
    here, site = tmp_path / "here", site_of(tmp_path / "state")
    async with open_laptop(site, spec_of(hosted=True), FolderDestination(here)) as laptop, laptop.led(pod):
        assert not await laptop.flush()
        (here / "app.db-wal").write_text("pages")
        await laptop.until(lambda row: [it["path"] for it in row["databases"]] == ["/data/app.db-wal"])
        assert not await laptop.flush()  # it travels all the same
        assert (pod.folder / "app.db-wal").read_text() == "pages"
