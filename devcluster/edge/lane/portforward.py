"""A lane over ``pods/portforward``, for where the pod proxy is closed.

The API server hands the stream to the node's kubelet, which dials the port inside the pod.  So it works where
a NetworkPolicy, a mesh or a tunnel between API server and nodes keeps the API server away from the pod's
address, and where a Role allows only port-forward.  It is the slower way: each chunk is framed and masked
twice on its path.  Inside, the agent is spoken to as over the proxy.

``v4.channel.k8s.io`` is used although ``SPDY/3.1+portforward.k8s.io`` is newer.  The newer one carries SPDY
in WebSocket, with streams and half-close that a lane does not need; the older one has two channels, data and
error, and every API server and kubelet speaks it.

Source:
https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#create-connect-portforward-pod-v1-core
(verbs), https://pkg.go.dev/k8s.io/apimachinery/pkg/util/httpstream/wsstream (channels)
"""

from __future__ import annotations

import asyncio

from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.edge.lane import websocket
from devcluster.edge.lane.lanes import (
    HTTP_END,
    AgentAddress,
    LaneError,
    Side,
    dial,
    refusal,
    request_head,
    timed,
    upgrade,
)

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_RIGHT = "pods/portforward"


class ForwardedSide(Side):
    """The data channel of one forwarded port.  ``shaken``: the HTTP head that answers the handshake."""

    def __init__(self) -> None:
        super().__init__(head_end=HTTP_END)
        self.shaken: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._start = b""
        self._frames = websocket.WebSocketFrames()
        self._channel = -1
        self._greeted: set[int] = set()

    def send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(websocket.binary(bytes((_DATA,)) + data))

    def data_received(self, data: bytes) -> None:
        if self.shaken.done():
            self._take_frames(data)
            return
        self._start += data
        head, found, rest = self._start.partition(HTTP_END)
        if found:
            self._start = b""
            self.shaken.set_result(head)
            if rest:
                self._take_frames(rest)

    def _take_frames(self, data: bytes) -> None:
        try:
            for kind, begins, payload in self._frames.feed(data):
                if kind == "data":
                    self._take_data(begins, payload)
                elif kind == "ping" and self.transport is not None:
                    self.transport.write(websocket.pong(payload))
                elif kind == "close":
                    self.close()
        except websocket.FrameError as error:
            self._broken(f"the API server sent {error}")

    def _take_data(self, begins: bool, payload: bytes) -> None:
        """The first message of each channel repeats the port's number."""
        if begins:
            self._channel, payload = payload[0], payload[1:]
            if self._channel not in self._greeted:
                self._greeted.add(self._channel)
                payload = payload[2:]
        if not payload:
            return
        if self._channel == _DATA:
            super().data_received(payload)
        elif self._channel == _ERROR:
            self._broken(payload.decode("utf-8", "replace").strip())

    def _broken(self, reason: str) -> None:
        if not self.head.done():
            self.head.set_exception(LaneError(reason))
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.shaken.done():
            self.shaken.set_exception(
                LaneError(f"the API server closed the connection ({exc or 'end of file'})")
            )
        self.shaken.exception()
        super().connection_lost(exc)


async def open_forwarded(
    target: UpgradeTarget, agent: AgentAddress, protocol: str, *, timeout: float
) -> Side:
    """Like ``lanes.open_upgrade``, with the same errors, over port-forward."""
    async with timed(target, agent, timeout):
        side = await dial(target, ForwardedSide)
        assert isinstance(side, ForwardedSide)
        try:
            await _shake(side, target, agent)
        except BaseException:
            side.abort()
            raise
        return await upgrade(side, request_head(target, protocol, path="/"), agent, _RIGHT)


async def _shake(side: ForwardedSide, target: UpgradeTarget, agent: AgentAddress) -> None:
    key = websocket.handshake_key()
    path = f"{target.prefix}/api/v1/namespaces/{agent.namespace}/pods/{agent.pod}/portforward"
    lines = [
        f"GET {path}?ports={agent.port} HTTP/1.1",
        f"Host: {target.host}:{target.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Protocol: {_PROTOCOL}",
    ]
    lines += [f"{name}: {value}" for name, value in target.headers]
    assert side.transport is not None
    side.transport.write("\r\n".join([*lines, "", ""]).encode())
    head = (await side.shaken).decode("latin-1")
    status = head.split("\r\n", 1)[0]
    if " 101" not in status:
        raise refusal(status, agent, _RIGHT)
    if websocket.accepted(key) not in head:
        raise LaneError("the API server did not answer with a WebSocket")
