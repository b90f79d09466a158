"""A host process that ends takes nothing more: nobody would serve it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.model import Project
from devcluster.errors import FailedError
from devcluster.run.host.session import open_session
from devcluster.run.place import place_of
from devcluster.run.site import Site
from devcluster.run.turn import Turn


async def test_who_asks_while_it_hands_back_is_refused(tmp_path: Path) -> None:
    nobody: Any = None
    site = Site(place_of("c", "n", "shop", {"XDG_STATE_HOME": str(tmp_path)}), nobody, nobody, b"")
    project = Project(name="shop", file=tmp_path / "devcluster.yaml", workloads=())
    async with open_session(site) as session:
        async with session._lock:  # the hand-back
            asked = asyncio.ensure_future(session.apply(project, (), Turn.of(1), takeover=False))
            await asyncio.sleep(0)
            session.ending = True
        with pytest.raises(FailedError, match="just ending"):
            await asked
