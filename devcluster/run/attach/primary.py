"""The one pod that the laptop goes by: its outbound connections, and its live volumes.

Outbound connections leave through one pod, so that the world sees the laptop at one address; names are asked
of its resolver, and its other containers are at localhost.  Live volumes are kept the same as this pod's.
The naive way, to spread them over the pods as lanes are, shows three addresses and asks three resolvers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from devcluster.edge.background import running, unless_cancelled
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError
from devcluster.rules.agent.facts import Listener
from devcluster.run.attach.links import Links
from devcluster.run.attach.loss import Loss
from devcluster.run.attach.sides import ClusterSide, LocalSide
from devcluster.run.changes import Changes

_OPEN = 10.0  # seconds for a connection to its agent
_LIVE_AGAIN = 0.3  # seconds until a lost connection of live volumes is opened again
_log = logging.getLogger("devcluster.host")


class Primary:
    """One attachment's.  Which pod it is ``links`` says; two tasks have the local side follow it."""

    def __init__(
        self,
        key: str,
        loss: Loss,
        links: Links,
        cluster: ClusterSide,
        local: LocalSide,
        changes: Changes,
    ) -> None:
        self._key = key
        self._loss = loss
        self._links = links
        self._cluster = cluster
        self._local = local
        self._changes = changes

    async def keep(self) -> None:
        """Tell the local side which pod it is, whenever it becomes another one."""
        told = ""
        neighbours: tuple[Listener, ...] = ()
        while True:
            await self._changes.until(
                lambda told=told, known=neighbours: (  # type: ignore[misc]
                    (self._links.primary, self._links.neighbours) != (told, known)
                )
            )
            if self._links.primary != told:
                _log.info("%s: outbound connections go by %s", self._key, self._links.primary)
            told, neighbours = self._links.primary, self._links.neighbours
            self._local.lead(told, neighbours)

    async def keep_live(self) -> None:
        """Live volumes use the primary, by a connection of their own: a beat must not wait behind their
        bytes.  They need it until the last of them is done, when nothing is held any more."""
        live = self._local.live
        while True:
            await self._changes.until(lambda: self._source() is not None)
            source = self._source()
            assert source is not None
            opened = self._cluster.open_agent(source[0], lambda _: None, timeout=_OPEN)
            with contextlib.suppress(DevclusterError, OSError, TimeoutError, RefusedError):
                async with opened as agent, running(agent.ended(), name=f"end of {source[0]}") as over:
                    live.lead(agent)
                    over.add_done_callback(lambda _: self._changes.notify())
                    await self._changes.until(
                        lambda source=source, over=over: over.done() or self._is_astray(source)  # type: ignore[misc]
                    )
            unless_cancelled()
            live.lead(None)
            await asyncio.sleep(_LIVE_AGAIN)

    def _source(self) -> tuple[str, int] | None:
        """Two laptops never both change a volume."""
        return None if self._loss.reason or not self._local.live else self._links.source

    def _is_astray(self, source: tuple[str, int]) -> bool:
        """Whether live volumes must no longer use *source*.  A pod that is no longer held serves them to the
        end."""
        now = self._links.source
        return bool(self._loss.reason) or not self._local.live or (now is not None and now != source)
