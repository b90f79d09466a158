"""The scenarios' fixtures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.scenarios.python_world import load_python
from tests.scenarios.world import World, load_app, open_world


@pytest.fixture(scope="session")
def app(kubeconfig: Path) -> str:
    """The test application's image, in the cluster's node and in the local engine."""
    return load_app(kubeconfig)


@pytest.fixture(scope="session")
def python(kubeconfig: Path) -> str:
    """An image with Python, in the cluster's node and in the local engine."""
    return asyncio.run(load_python(kubeconfig))


@pytest.fixture
async def world(kubeconfig: Path, app: str, tmp_path: Path) -> AsyncIterator[World]:
    """A fresh namespace and an empty project folder."""
    async with open_world(kubeconfig, tmp_path, app) as opened:
        yield opened
