"""A namespace with the small application, for whoever puts an agent into one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devcluster.edge.kube.agent import AgentBinary
from tests.edge.cluster_world import World, find_binary, load_images, open_world


@pytest.fixture(scope="session")
def binary() -> AgentBinary:
    return find_binary()


@pytest.fixture(scope="session")
def images(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    load_images(kubeconfig, tmp_path_factory.mktemp("images"))


@pytest.fixture
async def world(
    kubeconfig: Path, images: None, binary: AgentBinary, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    async with open_world(binary) as world:
        yield world
