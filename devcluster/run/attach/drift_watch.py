"""What somebody changes back while the workload is attached: it is watched, since the lanes can't tell.

A lane lasts as long as its pod; whether Services and template still lead to it, others may change at any
time.  Template and Services are watched.  What we wrote is read from the Secret again for each template that
was not seen before, and when a Service has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from devcluster.edge.background import running
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.kube.workload import WorkloadObject
from devcluster.errors import DevclusterError
from devcluster.rules.cluster.drift import Drift, service_drift, template_drift
from devcluster.rules.cluster.marks import Originals, parse_originals, secret_name
from devcluster.run.attach.sides import DriftSight

_PERIOD = 1.0  # seconds until a cluster that is away is asked again


async def read_drift(cluster: Cluster, originals: Originals) -> tuple[Drift, ...]:
    """The drift at this moment, for a workload that nobody here holds; () where it can't be read."""
    with contextlib.suppress(DevclusterError):
        item = await cluster.find(*originals.ref.path)
        if item is None:
            return (Drift(f"{originals.ref} is gone", "gone"),)
        services = (await cluster.list("service", originals.ref.namespace)).items if originals.moves else ()
        return template_drift(originals, item) + service_drift(originals.moves, services)
    return ()


async def watch_drift(cluster: Cluster, workload: WorkloadObject) -> AsyncGenerator[DriftSight, None]:
    """What has drifted, after each change."""
    watch = _Watch(cluster, workload)
    last: DriftSight | None = None
    async with running(watch.run(), name=f"drift of {workload.ref}"):
        while True:
            await watch.changed.wait()
            watch.changed.clear()
            if watch.sight != last:
                last = watch.sight
                yield last


class _Watch:
    """``sight``: what is known at this moment; ``changed`` is set when it may be out of date."""

    def __init__(self, cluster: Cluster, workload: WorkloadObject) -> None:
        self.changed = asyncio.Event()
        self._cluster = cluster
        self._workload = workload
        self._originals: Originals | None = None
        self._template: tuple[Drift, ...] = ()
        self._services: tuple[Drift, ...] = ()
        self._replicas = workload.replicas

    @property
    def sight(self) -> DriftSight:
        return DriftSight(self._template + self._services, self._replicas)

    async def run(self) -> None:
        await asyncio.gather(self._patiently(self._follow_template), self._patiently(self._follow_services))

    async def _patiently(self, follow: Callable[[], Awaitable[None]]) -> None:
        """What may not be read is unknown, which is not an error; a cluster that is away is waited for."""
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
                self._replicas = item["spec"].get("replicas", 1) if item else 0
                if item is None:
                    self._template = (Drift(f"{seen.ref} is gone", "gone"),)
                elif item["spec"]["template"] != last:
                    last = item["spec"]["template"]
                    await self._read_originals()
                    if self._originals is not None:
                        self._template = template_drift(self._originals, item)
                self.changed.set()

    async def _follow_services(self) -> None:
        """An `up` that leads another one patches it, so what we wrote is read again, too."""
        states = self._cluster.watch_all("service", self._workload.ref.namespace)
        async with contextlib.aclosing(states):
            async for items in states:
                await self._read_originals()
                if self._originals is not None:
                    self._services = service_drift(self._originals.moves, items)
                    self.changed.set()
