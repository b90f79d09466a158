"""The local containers' output, line by line, each with its workload's name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from devcluster.edge.docker.engine import Engine
from devcluster.errors import EngineError
from devcluster.run.host.session import Session

Show = Callable[[str, str], None]


async def follow_session(session: Session, show: Show) -> None:
    """Every container of the session, and those that come later; until cancelled."""
    seen: set[str] = set()
    async with asyncio.TaskGroup() as tasks:
        while True:
            for key, attachment in session.attachments.items():
                container = attachment.local.container
                if container is not None and container not in seen:
                    seen.add(container)
                    follow = follow_container(session.site.engine, container, key, show)
                    tasks.create_task(follow, name=f"log of {key}")
            known = _containers(session)
            await session.changes.until(lambda known=known: _containers(session) != known)  # type: ignore[misc]


def _containers(session: Session) -> set[str | None]:
    return {attachment.local.container for attachment in session.attachments.values()}


async def follow_container(
    engine: Engine, container: str, key: str, show: Show, *, follow: bool = True
) -> None:
    """One container's output, whole lines."""
    with contextlib.suppress(EngineError):  # it was removed
        async for line in _lines(engine.follow_logs(container, follow=follow)):
            show(key, line)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[str]:
    rest = b""
    async for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")
