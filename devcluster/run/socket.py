"""The host process's own door: a Unix socket in the project's private folder.

A second ``up``, ``leave``, ``down`` and ``status`` ask the host process that runs already instead of
acting beside it.  One JSON line asks, any number of ``progress`` lines follow, one ``ok`` or ``error``
ends it.  The folder is 0700 and the socket 0600: who can write here can read the kubeconfig anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from devcluster import errors
from devcluster.run.report import Progress, Report

Json = dict[str, Any]
Handler = Callable[[Json, Report], Awaitable[Json]]
_LINE = 16 * 1024 * 1024


class AbsentError(Exception):
    """No host process runs for this project."""


class EndedError(errors.LeftoverError):
    """The host process ended in the middle of the work, and put nothing back."""


@contextlib.asynccontextmanager
async def serve(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Answer on *path* until the block ends.  A socket left by a dead process is replaced."""
    path.unlink(missing_ok=True)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def send(message: Json) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(message).encode() + b"\n")

        try:
            request = json.loads(await reader.readline())
            send({"ok": await handler(request, lambda it: send({"progress": dataclasses.asdict(it)}))})
        except errors.DevclusterError as error:
            send({"error": render_error(error)})
        except Exception as bug:  # raised again, so that the log has it; whoever waits is told the truth
            send({"error": render_error(_bug(bug))})
            raise
        finally:
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.close()

    server = await asyncio.start_unix_server(talk, path, limit=_LINE)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def ask(path: Path, request: Json, report: Report) -> Json:
    """Ask the host process.  Raises AbsentError where none answers, EndedError where it ends meanwhile, and
    its own errors as they were."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise AbsentError(str(path)) from error
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        while line := await reader.readline():
            message = json.loads(line)
            if "progress" in message:
                report(Progress(**message["progress"]))
            elif "error" in message:
                raise parse_error(message["error"])
            else:
                result: Json = message["ok"]
                return result
    except ConnectionError:
        pass
    finally:
        writer.close()
    log = path.with_name("session.log")  # beside the socket, unless that had to go elsewhere
    raise EndedError(
        "the host process ended before it answered",
        hint=f"`devcluster down` takes away what it made; its log: {log if log.exists() else log.name}",
    )


def _bug(error: Exception) -> errors.LeftoverError:
    """It may have stopped half-way; nothing of its text, which may hold a value."""
    return errors.LeftoverError(
        f"a bug in devcluster's host process: {type(error).__name__}",
        hint="`devcluster down` takes away what it made; please report it with session.log",
    )


def render_error(error: errors.DevclusterError) -> Json:
    """An expected error as JSON; ``kind``: the nearest class of ``errors``, which has the exit code."""
    kind = next(it for it in type(error).__mro__ if it.__module__ == errors.__name__)
    return {"kind": kind.__name__, "message": error.message, "hint": error.hint}


def parse_error(data: Json) -> errors.DevclusterError:
    """The inverse of ``render_error``; an unknown kind is a FailedError."""
    kind = getattr(errors, data["kind"], errors.FailedError)
    error = kind(data["message"], hint=data["hint"])
    assert isinstance(error, errors.DevclusterError)
    return error
