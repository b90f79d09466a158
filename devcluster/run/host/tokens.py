"""The local container's service-account token stays one that the API server knows.

The kubelet writes a new token into the pod some time before the old one ends, and a token ends with the pod
that it was made for.  A copy knows of neither.  So the copies are compared with the pod's files now and
then, and at once when the pod they came from is there no longer.

Source: https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#launch-a-pod-using-service-account-token-projection
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError
from devcluster.run.host.changes import Changes
from devcluster.run.host.links import Links
from devcluster.run.host.localpod import LocalPod

_EVERY = 60.0  # seconds; the shortest token lives 600, and is renewed 120 before its end
_AGAIN = 2.0  # seconds after a pod or the engine failed to answer


class TokenRefresh:
    """One attachment's.  *wanted*: whether the local pod serves now; *changes* is notified of it."""

    def __init__(self, local: LocalPod, links: Links, changes: Changes, wanted: Callable[[], bool]) -> None:
        self._local = local
        self._links = links
        self._changes = changes
        self._wanted = wanted

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            await self._changes.until(self._can)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY):
                    await self._changes.until(lambda: not self._has_source())
            if not self._can():
                continue
            try:
                await self._local.refresh_tokens(await self._links.held[0].link())
            except (DevclusterError, RefusedError, ConnectionError, TimeoutError):
                await asyncio.sleep(_AGAIN)

    def _can(self) -> bool:
        return self._wanted() and self._local.filling.has_tokens and bool(self._links.held)

    def _has_source(self) -> bool:
        return any(link.pod.name == self._local.filling.source for link in self._links.held)
