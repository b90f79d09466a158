"""One file of a volume in a container, by the engine that is here: its subpath since 26.0, a bind before."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devcluster.edge.docker.engine import Engine, NetnsInfo, spec_digest
from devcluster.edge.docker.files import VolumeDestination
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind
from devcluster.rules.volume.tarstream import END, padding, render_head
from devcluster.rules.volume.tree import Entry, parse_tree
from devcluster.sandbox.base_image import BASE_IMAGE
from tests.edge.clean_engine import clean_engine

PROJECT = "test-one-file"
PLACES = ("/etc/app/app.conf", "/etc/issue")  # the second one the image has, too
FILE = Entry("app.conf", "f", 0o640, 1001, 2001, 6, 1_600_000_000_123_456_789)
SLEEP = ("/bin/sh", "-c", "while :; do sleep 0.1; done")


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with clean_engine(PROJECT) as opened:
        yield opened


@pytest.fixture
async def netns(engine: Engine) -> NetnsInfo:
    await engine.ensure_network(PROJECT)
    return await engine.start_netns(PROJECT, "web", "pod-1")


async def _filled(text: bytes) -> AsyncIterator[bytes]:
    yield render_head(FILE) + text + padding(len(text)) + END


async def test_it_stands_at_its_path_alone_and_is_the_volumes(engine: Engine, netns: NetnsInfo) -> None:
    target = VolumeDestination(engine, PROJECT, "web", "config")
    await target.apply((), _filled(b"first\n"))
    binds = tuple(VolumeBind(target.name, place, file="app.conf") for place in PLACES)
    spec = ContainerSpec(BASE_IMAGE, SLEEP, None, (), volumes=binds, read_only_root=True)
    container = await engine.run_workload(PROJECT, "web", netns.container_id, spec, spec_digest(spec, b"k"))

    look = ["sh", "-c", f"cat {' '.join(PLACES)}; stat -c '%F %a %u:%g' {' '.join(PLACES)}; ls /etc/app"]
    seen = (await engine.run_in(container, look)).stdout.decode().splitlines()
    assert seen == ["first", "first", *["regular file 640 1001:2001"] * 2, "app.conf"]

    await engine.run_in(container, ["sh", "-c", f"echo second > {PLACES[0]}"], user="1001")
    assert parse_tree(await target.scan(()))["app.conf"].size == len("second\n")
    await engine.restart(container, 1)
    seen = (await engine.run_in(container, look)).stdout.decode().splitlines()
    assert seen[:2] == ["second", "second"]
