"""``up``: in the foreground this process is the host process; with ``-d`` another one is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

from devcluster.config.codec import encode_project
from devcluster.edge.background import running
from devcluster.edge.docker.engine import open_docker
from devcluster.errors import (
    INTERRUPTED,
    DevclusterError,
    FailedError,
    HeldError,
    LeftoverError,
    RemainsError,
    UnservedError,
    joined,
)
from devcluster.run.commands.project import find_place, open_meant
from devcluster.run.host.lock import LockedError
from devcluster.run.host.logs import follow_session
from devcluster.run.host.process import TAKEN, host, take
from devcluster.run.host.session import Session, open_session
from devcluster.run.host.socket import AbsentError, BrokenOffError, answers, ask
from devcluster.run.log import log_to, logged
from devcluster.run.place import Place
from devcluster.run.report import Report
from devcluster.run.request import Request
from devcluster.run.site import Site, read_secret
from devcluster.run.turn import Turn

Json = dict[str, Any]
HOST: tuple[str, ...] = ("devcluster.run.host.process",)  # what `up -d` leaves behind: a module, first words
_SPAWN = 20.0  # seconds until a new host process must answer
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up_detached(request: Request, *, takeover: bool, report: Report) -> Json | None:
    """Hand the plan to the host process, which is started if none is running.  None: it was interrupted, and
    what it had begun is put back."""
    place = await find_place(request)
    message = _message(request, takeover)
    async with _interrupts() as interrupted:
        try:
            return await _hand_over(place, message, request.turn(report), interrupted)
        except AbsentError:
            if not await _spawn(place, interrupted):
                return None
            return await _hand_over(place, message, request.turn(report), interrupted)


async def _hand_over(place: Place, message: Json, turn: Turn, interrupted: asyncio.Event) -> Json | None:
    with contextlib.suppress(BrokenOffError):
        return await ask(place.socket, message, turn.report, turn.deadline, stop=interrupted)
    return None


async def up_foreground(
    request: Request,
    *,
    takeover: bool,
    report: Report,
    ready: Callable[[Json], None],
    log: Callable[[str, str], None],
    verbose: bool = False,
) -> int:
    """Attach, call *ready*, follow the logs until ^C, then leave.  Return the exit code.

    If a host process is already running it gets the new plan, and this command ends with its answer.
    """
    place = await find_place(request)
    log_to(place.log, stderr=logging.INFO if verbose else logging.WARNING)

    async def ask_it() -> int:
        async with _interrupts() as interrupted:
            answer = await _hand_over(place, _message(request, takeover), request.turn(report), interrupted)
        if answer is None:
            return INTERRUPTED
        ready(answer)
        return 0

    with contextlib.suppress(AbsentError):
        return await ask_it()
    try:
        return await _host_here(place, request, takeover, report, ready, log)
    except LockedError as taken:  # by one that came to be meanwhile
        try:
            return await ask_it()
        except AbsentError:
            raise taken from None


async def _host_here(
    place: Place,
    request: Request,
    takeover: bool,
    report: Report,
    ready: Callable[[Json], None],
    log: Callable[[str, str], None],
) -> int:
    async with (
        open_site(place, request) as site,
        open_session(site) as session,
        _interrupts() as interrupted,
        host(session),
        _handed_back(session, request, report),
    ):
        work = asyncio.ensure_future(_apply(session, request, takeover, report))
        stop = asyncio.ensure_future(interrupted.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, DevclusterError):
                await work
            return INTERRUPTED
        ready(work.result())
        return await _follow(session, stop, log)


@contextlib.asynccontextmanager
async def _handed_back(session: Session, request: Request, report: Report) -> AsyncIterator[None]:
    """However the block ends (^C, an error, nobody reads our output any more): nothing stays held by a
    process that ends.  LeftoverError where something does, UnservedError where an original does not serve."""
    try:
        yield
    except BaseException as error:
        left = await _leave(session, request, report)
        if left is None:
            raise
        raise (joined([error, left]) if isinstance(error, DevclusterError) else left) from error
    if (left := await _leave(session, request, report)) is not None:
        raise left


async def _leave(session: Session, request: Request, report: Report) -> DevclusterError | None:
    """Hand back all that is attached, also by another `up` that is still at it; no later one begins."""
    session.end()
    if not session.live:
        return None
    try:
        turn = Turn.of(request.timeout, logged(report), fixed=request.deadline.fixed)
        await session.leave((), turn)
    except (RemainsError, UnservedError) as error:
        return error
    except DevclusterError as error:
        hint = f"`devcluster down -n {session.site.place.namespace}` finishes it"
        return LeftoverError(f"handing back failed: {error}", hint=hint)
    return None


async def _apply(session: Session, request: Request, takeover: bool, report: Report) -> Json:
    assert request.project is not None
    return await session.apply(
        request.project, request.only, request.turn(logged(report)), takeover=takeover, whole=True
    )


async def _follow(session: Session, stop: asyncio.Future[Any], log: Callable[[str, str], None]) -> int:
    """Until ^C (130), until nothing is attached any more (0), or until all of it has failed (1)."""

    def over() -> bool:
        states = [item.truth.state for item in session.attachments.values()]
        failed = [state in ("failed", "held") for state in states]
        return not session.live or (bool(failed) and all(failed))

    async with running(follow_session(session, log), name="logs") as logs:  # they end where nobody reads them
        ended = asyncio.ensure_future(session.changes.until(over))
        await asyncio.wait({stop, ended, logs}, return_when=asyncio.FIRST_COMPLETED)
    if stop.done():
        ended.cancel()
        return INTERRUPTED
    stop.cancel()
    if not session.failures:
        return 0
    taken = [item.taken for item in session.attachments.values() if item.taken]
    reasons = "; ".join(session.failures[key] for key in sorted(session.failures))
    if taken:
        raise HeldError("; ".join(taken), hint="`devcluster up --takeover` takes it back")
    raise FailedError(reasons, hint="the original serves again; `devcluster up` starts the container again")


@contextlib.asynccontextmanager
async def open_site(place: Place, request: Request) -> AsyncIterator[Site]:
    """A cluster that answers; the project is ours from here on, or LockedError."""
    async with open_meant(request) as cluster:
        await take(place)
        async with open_docker() as docker:
            yield Site(place, cluster, docker, read_secret(place))


@contextlib.asynccontextmanager
async def _interrupts() -> AsyncIterator[asyncio.Event]:
    """^C and the like as an event.  A second one changes nothing: handing back goes on."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _message(request: Request, takeover: bool) -> Json:
    assert request.project is not None
    return {
        "do": "apply",
        "project": encode_project(request.project),
        "only": list(request.only),
        "takeover": takeover,
    }


def _start_host(place: Place) -> subprocess.Popen[bytes]:
    """Start a host process in a session of its own, so that it outlives the terminal; its output goes to its
    log."""
    command = [sys.executable, "-m", *HOST, place.context, place.namespace, place.name]
    descriptor = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


async def _spawn(place: Place, interrupted: asyncio.Event) -> bool:
    """Wait until the host process answers; one that nobody asks is ended.  False: interrupted."""
    process = _start_host(place)
    try:
        async with asyncio.timeout(_SPAWN):
            while not interrupted.is_set():
                if await answers(place.socket):
                    return True
                if process.poll() not in (None, TAKEN):  # another `up` was first: it will answer
                    raise FailedError(f"the host process ended at once; its log: {place.log}")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        await _end(process)
        raise FailedError(f"the host process does not answer; its log: {place.log}") from error
    await _end(process)
    return False


async def _end(process: subprocess.Popen[bytes]) -> None:
    """End it; it holds nothing yet."""
    process.terminate()
    await asyncio.to_thread(process.wait)
