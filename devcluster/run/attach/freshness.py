"""What kubelet writes anew while a pod runs (ConfigMaps, Secrets, tokens), kept fresh in its copies.

The agent tells which versions kubelet wrote last, at each change and with each beat; each copy knows which
version it was filled from.  A copy whose version is none of them is filled again, from the pod whose versions
these are.  That covers a replaced pod as well: its token ended with it, and its versions are gone.

The naive way, to compare the files at intervals, is either late or asks all the time.
"""

from __future__ import annotations

import asyncio
import contextlib

from devcluster.edge.background import unless_cancelled
from devcluster.edge.lines import RefusedError
from devcluster.errors import DevclusterError
from devcluster.run.attach.links import Links
from devcluster.run.attach.sides import LocalSide
from devcluster.run.attach.snapshot import Known
from devcluster.run.changes import Changes

_PAUSE = 1.0  # seconds between two refreshments, also where a pod or the engine failed to answer


async def keep_fresh(links: Links, local: LocalSide, changes: Changes, known: Known) -> None:
    """Until cancelled, while the copies are in use."""
    while True:
        await changes.until(lambda: known.serves and _is_stale(links, local))
        link = links.of_primary
        assert link is not None
        with contextlib.suppress(DevclusterError, RefusedError, ConnectionError, TimeoutError):
            await local.refresh(await link.link(), links.versions)
        unless_cancelled()
        await asyncio.sleep(_PAUSE)


def _is_stale(links: Links, local: LocalSide) -> bool:
    told = links.versions
    return bool(told) and bool(local.sight.versions - told)
