"""The host process's own door: a Unix socket in the project's private folder.

A second ``up``, ``leave``, ``down`` or ``status`` asks the running host process instead of acting beside it.
One JSON line asks, any number of ``progress`` lines follow, and one ``ok``, ``error`` or ``broken_off`` ends
it.  A caller that stops sending has lost interest: what it asked for is broken off if possible (``up`` then
puts back; ``down`` must go on to its end).  The folder is 0700 and the socket 0600: whoever can write here
can read the kubeconfig anyway.  The caller that asked for the last of the work returns when the host process
has ended, so nobody finds one that is about to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from devcluster import errors
from devcluster.deadline import Deadline
from devcluster.edge.background import running
from devcluster.run.host.lock import until_free
from devcluster.run.report import Progress, Report, silent

Json = dict[str, Any]
Handler = Callable[[Json, Report], Coroutine[Any, Any, Json]]
_LINE = 16 * 1024 * 1024
_LAST_WORDS = 5.0  # seconds, for who still waits for an answer
_ENDING = 60.0  # seconds for a host process that said that it ends
_ALIVE = 1.0  # seconds between two signs of life
_PING = 5.0  # seconds for what answers at once


class AbsentError(Exception):
    """No host process is running for this project."""


class EndedError(errors.LeftoverError):
    """The host process ended in the middle of the work, and put nothing back."""


class BrokenOffError(Exception):
    """It was broken off, as ``stop`` asked."""


@contextlib.asynccontextmanager
async def serve(
    path: Path,
    handler: Handler,
    *,
    may_break_off: Callable[[Json], bool] = lambda _: False,
    ends: Callable[[Json], bool] = lambda _: False,
) -> AsyncIterator[None]:
    """Answer on *path* until the block ends, and finish what was asked before.  A socket left by a dead
    process is replaced.  *may_break_off*: whether the handler of a request is cancelled when its caller goes
    away.  *ends*: whether this process ends now that the request has been worked on, which its caller waits
    for."""
    path.unlink(missing_ok=True)
    desk = _Desk(handler, may_break_off, ends)
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        task.add_done_callback(talks.discard)
        await desk.serve_one(reader, writer)

    server = await asyncio.start_unix_server(talk, path, limit=_LINE)
    path.chmod(0o600)
    try:
        async with running(_show_life(path), name="signs of life"):
            yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
        if talks:
            await asyncio.wait(talks, timeout=_LAST_WORDS)


@dataclass(frozen=True, slots=True)
class _Desk:
    """Answers one connection at a time; the fields are ``serve``'s parameters."""

    handler: Handler
    may_break_off: Callable[[Json], bool]
    ends: Callable[[Json], bool]

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request: Json = {"do": ""}

        def send(message: Json) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(message).encode() + b"\n")

        def end(message: Json) -> None:
            send(message | {"ends": self.ends(request)})

        try:
            if not (line := await reader.readline()).endswith(b"\n"):
                return  # whoever it was left before asking
            request = json.loads(line)
            end(await self._answer(request, reader, lambda it: send({"progress": asdict(it)})))
        except errors.DevclusterError as error:
            end({"error": render_error(error)})
        except Exception as bug:  # raised again, so that the log has it; whoever waits is told the truth
            end({"error": render_error(_bug(bug))})
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: Json, reader: asyncio.StreamReader, report: Report) -> Json:
        async with _working(self.handler(request, report)) as work:
            if self.may_break_off(request):
                await _first(work, reader.read())
                work.cancel()
            await asyncio.wait({work})
            return {"broken_off": True} if work.cancelled() else {"ok": work.result()}


@contextlib.asynccontextmanager
async def _working(work: Coroutine[Any, Any, Json]) -> AsyncIterator[asyncio.Task[Json]]:
    """*work* as a task that has ended when the block has."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _first(work: asyncio.Task[Json], other: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of the two has ended; *other* is not needed any more then."""
    async with _working(other) as task:
        await asyncio.wait({work, task}, return_when=asyncio.FIRST_COMPLETED)


async def ask(
    path: Path, request: Json, report: Report, deadline: Deadline, *, stop: asyncio.Event | None = None
) -> Json:
    """Ask the host process, which gets what is left of *deadline*.  *stop*: once it is set, the request is
    broken off.  Raises AbsentError where none answers, EndedError where it ends meanwhile, BrokenOffError,
    and the host process's own errors as they were."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AbsentError(str(path)) from error
    try:
        writer.write(
            json.dumps(request | {"timeout": deadline.left(), "fixed": deadline.fixed}).encode() + b"\n"
        )
        async with running(_until_stop(stop, writer), name="stop"):
            message = await _read_answer(reader, report)
        if message["ends"]:
            await until_free(path, patience=_ENDING)
        return _answered(message)
    except ConnectionError:
        pass
    finally:
        writer.close()
    log = path.with_name("session.log")  # beside the socket, unless that had to go elsewhere
    raise EndedError(
        "the host process ended before it answered",
        hint=f"`devcluster down` removes what it made; its log: {log if log.exists() else log.name}",
    )


async def _show_life(path: Path) -> None:
    while True:
        with contextlib.suppress(OSError):  # somebody tidied up; whoever asks next finds nobody
            os.utime(path)
        await asyncio.sleep(_ALIVE)


def last_sign(path: Path) -> float | None:
    """When a host process that ended without a word was last alive, in seconds of the epoch; None where none
    left a socket behind."""
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return None


async def answers(path: Path) -> bool:
    """Whether a host process is there."""
    try:
        await ask(path, {"do": "ping"}, silent, Deadline.after(_PING))
    except (AbsentError, EndedError):
        return False
    return True


async def _until_stop(stop: asyncio.Event | None, writer: asyncio.StreamWriter) -> None:
    if stop is not None:
        await stop.wait()
        writer.write_eof()


async def _read_answer(reader: asyncio.StreamReader, report: Report) -> Json:
    while (line := await reader.readline()).endswith(b"\n"):  # or it was cut off
        message: Json = json.loads(line)
        if "progress" not in message:
            return message
        report(Progress(**message["progress"]))
    raise ConnectionError("it ended before it answered")


def _answered(message: Json) -> Json:
    if "error" in message:
        raise parse_error(message["error"])
    if "broken_off" in message:
        raise BrokenOffError
    result: Json = message["ok"]
    return result


def _bug(error: Exception) -> errors.LeftoverError:
    """It may have stopped half-way.  Nothing of its text is shown, which may hold a value."""
    return errors.LeftoverError(
        f"a bug in devcluster's host process: {type(error).__name__}",
        hint="`devcluster down` removes what it made; please report it with session.log",
    )


def render_error(error: errors.DevclusterError) -> Json:
    """An expected error as JSON; ``kind``: the nearest class of ``errors``, which has the exit code."""
    return {"kind": errors.kind_of(error).__name__, "message": error.message, "hint": error.hint}


def parse_error(data: Json) -> errors.DevclusterError:
    """The inverse of ``render_error``; an unknown kind is a FailedError."""
    kind = getattr(errors, data["kind"], errors.FailedError)
    error = kind(data["message"], hint=data["hint"])
    assert isinstance(error, errors.DevclusterError)
    return error
