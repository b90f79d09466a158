"""The host process's life: it answers on its socket, and ends when it holds nothing any more.

``python -m devcluster.run.host.hosting CONTEXT NAMESPACE NAME`` is the one that ``up -d`` leaves behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from devcluster.config.codec import decode_project
from devcluster.edge.docker.engine import open_engine
from devcluster.edge.kube.cluster import open_cluster
from devcluster.errors import DevclusterError
from devcluster.run.host.comparing import session_compare
from devcluster.run.host.session import Session, open_session
from devcluster.run.host.truth import session_status
from devcluster.run.host.verify import session_verify
from devcluster.run.place import place_of
from devcluster.run.report import Progress, Report
from devcluster.run.site import Site, read_secret
from devcluster.run.socket import serve

Json = dict[str, Any]
_PATIENCE = 30.0  # seconds without a first request, then nobody will come


@contextlib.asynccontextmanager
async def host(session: Session) -> AsyncIterator[None]:
    """Answer on the project's socket while the block runs."""

    async def answer(request: Json, report: Report) -> Json:
        match request["do"]:
            case "ping":
                return {}
            case "apply":
                return await session.apply(
                    decode_project(request["project"]),
                    tuple(request["only"]),
                    takeover=request["takeover"],
                    timeout=request["timeout"],
                    report=report,
                )
            case "compare":
                project = decode_project(request["project"])
                return await session_compare(session, project, tuple(request["only"]))
            case "leave":
                return await session.leave(tuple(request["only"]), report=report)
            case "down":
                return await session.down(tuple(request["only"]), volumes=request["volumes"], report=report)
            case "restart":
                return await session.restart(request["workload"], report=report)
            case "status":
                return session_status(session)
            case "verify":
                return await session_verify(session)
        raise AssertionError(request["do"])

    async with serve(session.site.place.socket, answer):
        yield


async def live(context: str, namespace: str, name: str) -> None:
    """The background host process."""
    place = place_of(context, namespace, name, os.environ)
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_cluster(context) as cluster, open_engine() as engine:
        site = Site(place, cluster, engine, read_secret(place))
        async with open_session(site) as session, host(session):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await session.changes.until(lambda: session.live)
            idle = asyncio.ensure_future(session.until_idle())
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({idle, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if session.live:
                await session.leave((), report=_to_log)
            idle.cancel()
            stopped.cancel()


def _to_log(progress: Progress) -> None:
    print(f"{progress.subject} {progress.text}", flush=True)


def main() -> None:
    try:
        import uvloop

        uvloop.run(live(*sys.argv[1:4]))
    except DevclusterError as error:
        print(f"error: {error.message}", error.hint, sep="\n  ", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
