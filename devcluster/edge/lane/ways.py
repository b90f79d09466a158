"""Which of the two ways to an agent is used: the pod proxy, or port-forward.

Rules: try the proxy first, since it is faster.  Try the other one at once where the proxy is forbidden or
nothing answers on it, and after some failures in a row (a broken tunnel answers quickly).  Then stay with the
one that worked last.  An agent that is not there yet is no reason to switch: it is just as absent on the
other way.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Literal

from devcluster.edge.kube.cluster import UpgradeTarget
from devcluster.edge.lane.lanes import (
    AgentAddress,
    LaneError,
    LaneForbiddenError,
    LaneTimeoutError,
    Side,
    open_upgrade,
)
from devcluster.edge.lane.portforward import open_forwarded
from devcluster.errors import ClusterError

LaneKind = Literal["proxy", "port-forward"]

_PATIENCE = 5  # quick failures in a row before the other way is tried
_OPEN = {"proxy": open_upgrade, "port-forward": open_forwarded}


class Ways:
    """One for all lanes of a workload.  ``kind``: the way in use; ``reason``: why it is not the proxy."""

    def __init__(self) -> None:
        self.kind: LaneKind = "proxy"
        self.reason = ""
        self._failures = 0

    async def open(
        self, target: UpgradeTarget, agent: AgentAddress, protocol: str, *, timeout: float
    ) -> Side:
        """Like ``lanes.open_upgrade``; *timeout* applies to each way."""
        try:
            side = await _OPEN[self.kind](target, agent, protocol, timeout=timeout)
        except (LaneForbiddenError, LaneTimeoutError) as error:
            return await self._other(error, target, agent, protocol, timeout)
        except LaneError as error:
            self._failures += 1
            if self._failures % _PATIENCE:
                raise
            return await self._other(error, target, agent, protocol, timeout)
        self._failures = 0
        return side

    async def _other(
        self, why: ClusterError, target: UpgradeTarget, agent: AgentAddress, protocol: str, timeout: float
    ) -> Side:
        """Try the other way, and keep it if it works; if not, the first way's error counts."""
        other: LaneKind = "port-forward" if self.kind == "proxy" else "proxy"
        try:
            side = await _OPEN[other](target, agent, protocol, timeout=timeout)
        except (LaneError, LaneForbiddenError) as error:
            raise type(why)(f"{why.message}; by {other}: {error.message}", hint=why.hint) from error
        self.kind, self.reason, self._failures = other, why.message if other == "port-forward" else "", 0
        return side

    async def open_socket(
        self, target: UpgradeTarget, agent: AgentAddress, *, timeout: float
    ) -> tuple[socket.socket, Side]:
        """An SSH connection as a plain socket, which asyncssh wants, and the cluster's end of it."""
        side = await self.open(target, agent, "ssh", timeout=timeout)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        _, local = await asyncio.get_running_loop().create_connection(Side, sock=ours)
        side.join(local)
        return theirs, side
