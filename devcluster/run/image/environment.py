"""What has to be read to tell the image's variables from the pod's; nothing if the pod's image runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from devcluster.config.model import Workload
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster
from devcluster.errors import NotFoundError
from devcluster.rules.container.image_environment import (
    EnvFromSource,
    ImageEnvironment,
    declared_names,
    sources_of,
)
from devcluster.run.image.images import Images

Json = dict[str, Any]


async def read_image_environment(
    cluster: Cluster, workload: Workload, images: Images, containers: Iterable[Json], namespace: str
) -> ImageEnvironment:
    """*containers*: the application's, in the template and in its pods."""
    if workload.image is None or images.local is None:
        return ImageEnvironment()
    listed = tuple(containers)
    sources = sorted(sources_of(listed))
    keys = await asyncio.gather(*(_keys(cluster, source, namespace) for source in sources))
    return ImageEnvironment(
        other=True,
        local=images.local.facts,
        pod=images.pod.facts if images.pod is not None else None,
        declared=declared_names(listed, dict(zip(sources, keys, strict=True))),
    )


async def _keys(cluster: Cluster, source: EnvFromSource, namespace: str) -> tuple[str, ...]:
    """Only the names; () for what may not be read, or is optional and absent."""
    try:
        found = await cluster.get(*source, namespace)
    except (ForbiddenError, NotFoundError):
        return ()
    return tuple(found.get("data") or ())
