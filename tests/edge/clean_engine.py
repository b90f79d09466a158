"""The engine for a test of one project, of which nothing is there before and nothing stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devcluster.edge.docker.engine import Engine, open_engine
from devcluster.sandbox.base_image import ensure_base_image
from tests.edge.gateway_binary import gateway_binary


@asynccontextmanager
async def clean_engine(project: str) -> AsyncIterator[Engine]:
    async with open_engine() as engine:
        await ensure_base_image(engine.calls)
        await engine.ensure_gateway_image(gateway_binary())
        await engine.remove_project(project, volumes=True)  # of a run that was killed
        try:
            yield engine
        finally:
            assert await engine.remove_project(project, volumes=True) == ()
