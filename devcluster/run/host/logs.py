"""The local containers' output, line by line, each with its workload's name."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from devcluster.edge.docker.engine import Engine
from devcluster.errors import EngineError
from devcluster.run.host.session import Session

Show = Callable[[str, str], None]


async def follow_session(session: Session, show: Show) -> None:
    """Every container of the session, also those that come later and those that start again; until
    cancelled."""
    seen: set[str | None] = set()
    ended: dict[str | None, float] = {}
    async with asyncio.TaskGroup() as tasks:
        while True:
            known = _containers(session)
            ended |= dict.fromkeys(seen - known, time.time())
            seen &= known
            for key, attachment in session.attachments.items():
                container = attachment.local.sight.container
                if container is not None and container not in seen:
                    seen.add(container)
                    since = ended.get(container)
                    follow = follow_container(session.site.engine, container, key, show, since=since)
                    tasks.create_task(follow, name=f"log of {key}")
            await session.changes.until(lambda known=known: _containers(session) != known)  # type: ignore[misc]


def _containers(session: Session) -> set[str | None]:
    return {attachment.local.sight.container for attachment in session.attachments.values()}


async def follow_container(
    engine: Engine, container: str, key: str, show: Show, *, follow: bool = True, since: float | None = None
) -> None:
    """One container's output, in whole lines.  *since*: seconds of the epoch; None: all of it."""
    with contextlib.suppress(EngineError):  # it was removed
        async for line in _lines(engine.follow_logs(container, follow=follow, since=since)):
            show(key, line)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")
