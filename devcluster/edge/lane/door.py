"""The gateway's door: where the host process hands over lanes and asks questions (docs/architecture.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from devcluster.edge.background import running
from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.edge.lane.lanes import AgentAddress, LaneError, Side
from devcluster.edge.lane.tunnel import End
from devcluster.edge.lane.ways import Ways
from devcluster.edge.lines import Json, Lines
from devcluster.errors import EngineError

_Side = TypeVar("_Side", bound=Side)
_PATIENCE = 15.0  # seconds for the agent, and for the gateway
_DIAL = 70.0  # seconds for a connection of the pod's: the gateway gives up before


@dataclass(frozen=True, slots=True)
class Door:
    """``port`` is published on the laptop's 127.0.0.1; only a caller that knows ``token`` is let in.
    ``log``: where the gateway's log is, a path or a command that shows it."""

    port: int
    token: str = field(repr=False)
    log: str


async def open_lane(
    ways: Ways, target: UpgradeTarget, agent: AgentAddress, door: Door, lane: str
) -> asyncio.Future[None]:
    """Join a new lane of *agent* to the gateway.  The result is done when the lane is gone; cancelling it
    ends the lane.

    Raises LaneError (the agent), EngineError (the gateway).
    """
    cluster = await ways.open(target, agent, "devcluster-lane", timeout=_PATIENCE)
    try:
        async with asyncio.timeout(_PATIENCE):
            local = await _enter(door, {"open": "lane", "pod": agent.pod, "lane": lane}, Side)
    except BaseException:
        cluster.abort()
        raise
    cluster.join(local)
    cluster.lost.add_done_callback(lambda lost: cluster.abort() if lost.cancelled() else None)
    return cluster.lost


@contextlib.asynccontextmanager
async def open_control(
    door: Door,
    *,
    on_event: Callable[[Json], None],
    on_request: Callable[[Json], Awaitable[Json]],
) -> AsyncIterator[Lines]:
    """The control conversation with the gateway."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    except OSError as error:
        raise _silent(door, error) from error
    try:
        writer.write(json.dumps({"token": door.token, "open": "control"}).encode() + b"\n")
        try:
            _check(door, await reader.readline())
        except OSError as error:
            raise _silent(door, error) from error
        lines = Lines(reader, writer.write, on_event=on_event, on_request=on_request)
        async with running(lines.run(), name="gateway control"):
            yield lines
    finally:
        writer.close()


async def open_stream(door: Door, to: str) -> End:
    """A connection to *to* (``host:port``, as the pod reaches it).  EngineError where it can't be opened: the
    pod was refused, or no lane is up."""
    async with asyncio.timeout(_DIAL):
        return await _enter(door, {"open": "stream", "to": to}, End)


async def _enter(door: Door, request: Json, end: type[_Side]) -> _Side:
    loop = asyncio.get_running_loop()
    try:
        transport, side = await loop.create_connection(lambda: end(head_end=b"\n"), "127.0.0.1", door.port)
    except OSError as error:
        raise _silent(door, error) from error
    try:
        transport.write(json.dumps({"token": door.token, **request}).encode() + b"\n")
        _check(door, await side.head)
    except BaseException as error:
        side.abort()
        if isinstance(error, LaneError):
            raise _closed(door) from error
        raise
    return side


def _silent(door: Door, error: OSError) -> EngineError:
    return EngineError(
        f"the gateway at 127.0.0.1:{door.port} does not answer: {error}; its log may say why: {door.log}"
    )


def _closed(door: Door) -> EngineError:
    return EngineError(f"the gateway closed the connection; its log may say why: {door.log}")


def _check(door: Door, answer: bytes) -> None:
    if not answer:
        raise _closed(door)
    reply = json.loads(answer)
    if "error" in reply:
        raise EngineError(f"the gateway refused: {reply['error']}")
