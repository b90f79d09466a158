"""The host process's life: it answers on its socket, and ends when it holds nothing any more.

``python -m devcluster.run.host.process CONTEXT NAMESPACE NAME`` is the one that ``up -d`` leaves behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

from devcluster.config.codec import decode_project
from devcluster.config.model import Project
from devcluster.edge.background import run_loop
from devcluster.edge.docker.engine import open_docker
from devcluster.edge.kube.cluster import open_cluster
from devcluster.errors import BUG, DevclusterError, first_of
from devcluster.run.host.leash import Leashes
from devcluster.run.host.lock import LockedError, lock
from devcluster.run.host.session import Session, open_session
from devcluster.run.host.socket import answers, serve
from devcluster.run.host.status_document import session_status
from devcluster.run.host.verify import session_verify
from devcluster.run.log import log_to, logged, to_log
from devcluster.run.place import Place, place_of
from devcluster.run.report import Report
from devcluster.run.site import Site, read_secret
from devcluster.run.turn import Turn

Json = dict[str, Any]
_PATIENCE = 30.0  # seconds without a first request, then nobody will come
_FORMER = 10.0  # seconds for a host process that ends just now
_LAST = 300.0  # seconds for handing back at the end
_LOOK = 0.2  # seconds until it is looked whether it answers instead
TAKEN = 75  # the exit code where another one runs: EX_TEMPFAIL of sysexits(3)
_log = logging.getLogger("devcluster.host")


@contextlib.asynccontextmanager
async def host(session: Session) -> AsyncIterator[None]:
    """Answer on the project's socket while the block runs; for the process that has the project
    (``take``)."""

    leashes = Leashes(session)

    async def answer(request: Json, report: Report) -> Json:
        return await _answer(session, leashes, request, report)

    def may_break_off(request: Json) -> bool:
        return request["do"] in ("apply", "leash")

    def ends(request: Json) -> bool:
        return request["do"] in ("apply", "leash", "leave", "down") and not session.live

    async with serve(session.site.place.socket, answer, may_break_off=may_break_off, ends=ends):
        yield


async def _answer(session: Session, leashes: Leashes, request: Json, report: Report) -> Json:
    """What is asked for by the socket (``run.host.socket``)."""
    turn = Turn.of(request["timeout"], logged(report), fixed=request["fixed"])
    match request["do"]:
        case "ping":
            return {}
        case "apply":
            project, only = _asked(request, leashes)
            return await session.apply(project, only, turn, takeover=request["takeover"])
        case "compare":
            return await session.compare(*_asked(request, leashes), turn)
        case "leave":
            return await session.leave(tuple(request["only"]), turn)
        case "down":
            return await session.down(tuple(request["only"]), turn)
        case "restart":
            return await session.restart(request["workload"], turn)
        case "sync":
            return await session.sync(
                tuple(request["only"]), turn, side=request["side"], paths=tuple(request["paths"])
            )
        case "environment":
            return await session.environment(request["workload"], turn)
        case "leash":
            return await leashes.hold(request["workload"], Turn.of(_LAST, to_log))
        case "status":
            return session_status(session)
        case "verify":
            return await session_verify(session, turn)
    raise AssertionError(request["do"])


def _asked(request: Json, leashes: Leashes) -> tuple[Project, tuple[str, ...]]:
    """The file and what is meant of it, none of which a command serves."""
    project, only = decode_project(request["project"]), tuple(request["only"])
    leashes.check(only or [workload.key for workload in project.workloads])
    return project, only


async def take(place: Place) -> None:
    """Take the project for this process.  LockedError where another process keeps it; at once where that one
    answers, since then it is asked."""
    clock = asyncio.get_running_loop().time
    end = clock() + _FORMER
    while True:
        try:
            return await lock(place.socket, patience=_LOOK)
        except LockedError:
            if clock() > end or await answers(place.socket):
                raise


async def live(context: str, namespace: str, name: str) -> None:
    """The background host process."""
    place = place_of(context, namespace, name, os.environ)
    async with open_cluster(context) as cluster, open_docker() as docker:
        site = Site(place, cluster, docker, read_secret(place))
        await take(place)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):  # from now on there may be something to hand back
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with open_session(site) as session, host(session):
            over = asyncio.ensure_future(_until_over(session))
            stopped = asyncio.ensure_future(stop.wait())
            await asyncio.wait({over, stopped}, return_when=asyncio.FIRST_COMPLETED)
            session.end()
            if session.live:
                await session.leave((), Turn.of(_LAST, to_log))
            over.cancel()
            stopped.cancel()


async def _until_over(session: Session) -> None:
    """Wait until what was asked for is no longer held, and for a while until anything is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await session.changes.until(lambda: session.used)
    await session.until_idle()


def main() -> None:
    """Ends at once: whoever asked for the end waits for it.  Python's own way takes a second longer, on a
    busy machine many, to free memory that the kernel frees anyway, and waits for threads whose answers nobody
    needs."""
    log_to(None, stderr=logging.INFO)  # which leads to session.log
    code = _run()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run() -> int:
    try:
        run_loop(live(*sys.argv[1:4]))
    except (DevclusterError, ExceptionGroup) as error:
        first = first_of(error)
        if isinstance(first, LockedError):
            return TAKEN
        if not isinstance(first, DevclusterError):
            _log.error("a bug", exc_info=error)
            return BUG
        _log.error("%s; %s", first.message, first.hint)
        return first.exit_code
    except Exception as bug:  # the log is all that tells of it
        _log.error("a bug", exc_info=bug)
        return BUG
    return 0


if __name__ == "__main__":
    main()
