"""Byte streams to an agent, across the API server.

A *lane* is one connection to ``pods/NAME:PORT/proxy`` of the API server that has been upgraded (RFC 9110
7.8): after the ``101`` the API server copies bytes straight to the pod.  The host process copies them once
more, unread, to the gateway's door or, for SSH, to one end of a socket pair.

The naive way, two coroutines with ``read()`` and ``drain()`` for each direction, wakes the loop twice for
every chunk.  Here a protocol hands each chunk to its peer's transport in the callback in which it arrives,
and a peer that is full pauses the source.

Source: https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#-strong-proxy-operations-pod-v1-core-strong-
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.errors import ClusterError, NotFoundError

_HEAD_LIMIT = 64 * 1024
_ANOTHER = 1.0  # seconds until another connection is tried beside one that is not established
HTTP_END = b"\r\n\r\n"
_CONNECT_PATH = "/.devcluster/connect"


class LaneError(ClusterError):
    """The lane could not be opened, for a reason that may pass (the agent is not there yet)."""


class LaneTimeoutError(LaneError):
    """Nothing answered in time: this way may be closed altogether."""


class LaneForbiddenError(ClusterError):
    """The API server does not allow this way."""


@dataclass(frozen=True, slots=True)
class AgentAddress:
    """Where an agent listens, as the API server's pod proxy names it."""

    namespace: str
    pod: str
    port: int


class Side(asyncio.Protocol):
    """One end of a relay.  If there is a head, it is read first; it ends with *head_end*."""

    def __init__(self, *, head_end: bytes = b"") -> None:
        self.heard = time.monotonic()  # when something came in last
        self.transport: asyncio.Transport | None = None
        self.peer: Side | None = None
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head_end = head_end
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        if self._head_end:
            self._take_head(data)
        elif self.peer is None or self.peer.transport is None:
            self._early += data
        else:
            self.peer.send(data)

    def send(self, data: bytes) -> None:
        """Write to this end."""
        if self.transport is not None:
            self.transport.write(data)

    def _take_head(self, data: bytes) -> None:
        self._early += data
        head, found, rest = self._early.partition(self._head_end)
        if found:
            self._head_end, self._early = b"", rest
            assert self.transport is not None
            self.transport.pause_reading()
            self.head.set_result(head)
        elif len(self._early) > _HEAD_LIMIT:
            self.head.set_exception(LaneError("the other side's answer is too long"))
            self.close()

    def join(self, peer: Side) -> None:
        """From now on copy what arrives here to *peer*, and the other way round."""
        self.peer, peer.peer = peer, self
        for side, other in ((self, peer), (peer, self)):
            assert side.transport is not None
            assert other.transport is not None
            if side._early:
                other.send(side._early)
                side._early = b""
        for side in (self, peer):
            assert side.transport is not None
            with contextlib.suppress(RuntimeError):  # it was not paused
                side.transport.resume_reading()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            with contextlib.suppress(RuntimeError):
                self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            with contextlib.suppress(RuntimeError):
                self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.head.done():
            reason = exc or "end of file"
            self.head.set_exception(LaneError(f"the other side closed the connection ({reason})"))
        if not self.head.cancelled():
            self.head.exception()  # retrieved: whoever waits for it has its own reference
        if not self.lost.done():
            self.lost.set_result(None)
        if self.peer is not None:
            self.peer.close()

    def close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


async def open_upgrade(target: UpgradeTarget, agent: AgentAddress, protocol: str, *, timeout: float) -> Side:
    """A connection to *agent* that speaks *protocol* from now on; it is paused until it is joined.

    Raises LaneError where the agent can't be reached (yet), NotFoundError where the pod is gone, ClusterError
    where the cluster can't be reached or forbids it.
    """
    pod = f"/api/v1/namespaces/{agent.namespace}/pods/{agent.pod}:{agent.port}/proxy"
    async with timed(target, agent, timeout):
        side = await dial(target, lambda: Side(head_end=HTTP_END))
        head = request_head(target, protocol, path=target.prefix + pod, headers=target.headers)
        return await upgrade(side, head, agent, "pods/proxy")


@contextlib.asynccontextmanager
async def timed(target: UpgradeTarget, agent: AgentAddress, seconds: float) -> AsyncIterator[None]:
    """Bound the opening of a lane in time, and turn the system's errors into ours."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        seen = f"did not open a lane to {agent.pod} in {seconds:.0f} s"
        raise LaneTimeoutError(f"the API server {target.host} {seen}") from error
    except OSError as error:
        raise LaneError(f"the API server {target.host}:{target.port} can't be reached: {error}") from error


async def dial(target: UpgradeTarget, make: Callable[[], Side]) -> Side:
    """A connection to the API server, with nothing said yet: the first of several to be established.

    What was lost in an outage the kernel sends again at ever longer intervals, so a network that is back
    would go unnoticed for seconds.  Therefore another connection is tried beside it each second; a slow one
    is not given up because of that.
    """
    attempts: set[asyncio.Task[Side]] = set()
    try:
        while True:
            attempts.add(asyncio.create_task(_dial(target, make), name=f"dial {target.host}"))
            done, _ = await asyncio.wait(attempts, timeout=_ANOTHER, return_when=asyncio.FIRST_COMPLETED)
            for attempt in done:
                attempts.discard(attempt)
                return attempt.result()
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_give_up)
            attempt.cancel()


def _give_up(attempt: asyncio.Task[Side]) -> None:
    """Drop one that is not needed; it may have been established just now."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().abort()


async def _dial(target: UpgradeTarget, make: Callable[[], Side]) -> Side:
    loop = asyncio.get_running_loop()
    if target.proxy is None:
        _, side = await loop.create_connection(
            make,
            target.host,
            target.port,
            ssl=target.ssl,
            server_hostname=target.server_name if target.ssl else None,
        )
        return side
    return await _dial_through_proxy(target, make)


async def _dial_through_proxy(target: UpgradeTarget, make: Callable[[], Side]) -> Side:
    """RFC 9110 9.3.6: CONNECT, then TLS inside."""
    assert target.proxy is not None
    loop = asyncio.get_running_loop()
    host, port, authorization = target.proxy
    transport, tunnel = await loop.create_connection(lambda: Side(head_end=HTTP_END), host, port)
    lines = [f"CONNECT {target.host}:{target.port} HTTP/1.1", f"Host: {target.host}:{target.port}"]
    if authorization:
        lines.append(f"Proxy-Authorization: {authorization}")
    transport.write("\r\n".join([*lines, "", ""]).encode())
    status = (await tunnel.head).split(b"\r\n", 1)[0].decode("latin-1")
    if " 200" not in status:
        transport.abort()
        raise LaneError(f"the proxy {host}:{port} refused: {status}")
    side = make()
    if target.ssl is None:
        transport.set_protocol(side)
        side.connection_made(transport)
        transport.resume_reading()
        return side
    secure = await loop.start_tls(transport, side, target.ssl, server_hostname=target.server_name)
    assert secure is not None
    side.connection_made(secure)
    return side


def request_head(
    target: UpgradeTarget,
    protocol: str,
    *,
    path: str,
    headers: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """The request that turns the connection into *protocol*; *path* goes before the agent's own."""
    lines = [
        f"GET {path.rstrip('/')}{_CONNECT_PATH} HTTP/1.1",
        f"Host: {target.host}:{target.port}",
        "Connection: Upgrade",
        f"Upgrade: {protocol}",
    ]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def upgrade(side: Side, head: bytes, agent: AgentAddress, right: str) -> Side:
    """Send *head* and wait for its 101.  *right*: the resource that a 403 is about."""
    side.send(head)
    try:
        answer = await side.head
    except BaseException:
        side.abort()
        raise
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if status.split(" ")[1:2] == ["101"]:
        return side
    side.abort()
    raise refusal(status, agent, right)


def refusal(status: str, agent: AgentAddress, right: str) -> ClusterError:
    """What a status line that is not 101 means."""
    code = status.split(" ")[1] if " " in status else ""
    if code in ("401", "403"):
        return LaneForbiddenError(
            f"cannot get {right} in namespace {agent.namespace}",
            hint="`devcluster role` prints the Role that is needed",
        )
    if code == "404":
        return NotFoundError(f"pod {agent.pod} is not in namespace {agent.namespace}")
    return LaneError(f"the agent of pod {agent.pod} does not answer ({status})")
