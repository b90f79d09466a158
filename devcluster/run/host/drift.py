"""What of ours somebody takes back while it is attached: watched, since the lanes can't tell.

A lane stands as long as its pod does; whether Services and template still lead to it is for others to change
at any time.  The template is watched.  So are the Services, where one was patched.  What we wrote is read
from the Secret anew for each template that was not seen before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import DevclusterError
from devcluster.rules.drift import Drift, service_drift, template_drift
from devcluster.rules.marks import Originals, parse_originals, secret_name

_PERIOD = 1.0  # seconds until a cluster that is away is asked again


async def read_drift(cluster: Cluster, originals: Originals) -> tuple[Drift, ...]:
    """At this moment, for a workload that nobody here holds; () where it can't be read."""
    with contextlib.suppress(DevclusterError):
        item = await cluster.find(*originals.ref.path)
        if item is None:
            return (Drift(f"{originals.ref} is gone", "gone"),)
        services = (await cluster.list("service", originals.ref.namespace)).items if originals.moves else ()
        return template_drift(originals, item) + service_drift(originals.moves, services)
    return ()


class DriftWatch:
    """``found`` is what drifted, at each moment; *on_change* is called when it changes."""

    def __init__(self, cluster: Cluster, workload: WorkloadObject, on_change: Callable[[], None]) -> None:
        self._cluster = cluster
        self._workload = workload
        self._on_change = on_change
        self._originals: Originals | None = None
        self._template: tuple[Drift, ...] = ()
        self._services: tuple[Drift, ...] = ()
        self._closed = False
        self.replicas = workload.replicas  # as the workload says now

    @property
    def found(self) -> tuple[Drift, ...]:
        return () if self._closed else self._template + self._services

    def close(self) -> None:
        """What follows is our own doing: `down`."""
        self._closed = True

    async def run(self) -> None:
        """Until cancelled."""
        await asyncio.gather(self._patiently(self._follow_template), self._patiently(self._follow_services))

    async def _patiently(self, follow: Callable[[], Awaitable[None]]) -> None:
        """What may not be read is not known, which is no error; a cluster that is away comes back."""
        while True:
            try:
                await follow()
                return
            except ForbiddenError:
                return
            except DevclusterError:
                await asyncio.sleep(_PERIOD)

    async def _read_originals(self) -> None:
        seen = self._workload
        found = await self._cluster.find("secret", secret_name(seen.ref), seen.ref.namespace)
        self._originals = parse_originals(found) if found is not None else None

    async def _follow_template(self) -> None:
        seen, last = self._workload, None
        states = self._cluster.watch_one(*seen.ref.path)
        async with contextlib.aclosing(states):
            async for item in states:
                self._count(item["spec"].get("replicas", 1) if item else 0)
                if item is None:
                    self._find(template=(Drift(f"{seen.ref} is gone", "gone"),))
                elif item["spec"]["template"] != last:
                    last = item["spec"]["template"]
                    await self._read_originals()
                    if self._originals is not None:
                        self._find(template=template_drift(self._originals, item))

    def _count(self, replicas: int) -> None:
        if replicas != self.replicas:
            self.replicas = replicas
            self._on_change()

    async def _follow_services(self) -> None:
        await self._read_originals()
        if self._originals is None or not self._originals.moves:
            return
        states = self._cluster.watch_all("service", self._workload.ref.namespace)
        async with contextlib.aclosing(states):
            async for items in states:
                if self._originals is not None:
                    self._find(services=service_drift(self._originals.moves, items))

    def _find(
        self, *, template: tuple[Drift, ...] | None = None, services: tuple[Drift, ...] | None = None
    ) -> None:
        before = self.found
        self._template = self._template if template is None else template
        self._services = self._services if services is None else services
        if self.found != before:
            self._on_change()
