"""One command at a time: the next one waits no longer than it may, and one that ends takes nothing more."""

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
            session.end()
        with pytest.raises(FailedError, match="shutting down"):
            await asked


async def test_who_waits_for_another_command_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    nobody: Any = None
    site = Site(place_of("c", "n", "shop", {"XDG_STATE_HOME": str(tmp_path)}), nobody, nobody, b"")
    async with open_session(site) as session, session._lock:  # an `up` that takes its time
        for command in (session.leave((), Turn.of(0.05)), session.down((), Turn.of(0.05))):
            with pytest.raises(FailedError, match="another command of this project was still at work"):
                await command
