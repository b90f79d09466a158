"""What to say where there is no devcluster.yaml: three lines to paste, and the workloads to choose from.

The cluster is asked for the workloads, but only for a few seconds: an error must not wait for a cluster that
does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from devcluster.edge.kube.cluster import open_cluster
from devcluster.errors import ConfigurationError, DevclusterError
from devcluster.run.commands.list import list_titles

_PATIENCE = 3.0  # seconds
_LISTED = 12


async def missing_file(
    name: str, context: str | None, namespace: str | None, asked: Sequence[str]
) -> ConfigurationError:
    """The error for a project *name*.  *context*, *namespace* and *asked* (workloads) are from the command
    line."""
    space, where, titles = namespace or "default", "", list[str]()
    with contextlib.suppress(DevclusterError, TimeoutError):
        async with asyncio.timeout(_PATIENCE), open_cluster(context, namespace, timeout=_PATIENCE) as cluster:
            space = cluster.namespace
            titles = await list_titles(cluster, space)
            where = f"namespace {space} (context {cluster.context})"
    return ConfigurationError(
        "there is no devcluster.yaml here or above", hint=render_advice(name, space, where, titles, asked)
    )


def render_advice(name: str, namespace: str, where: str, titles: Sequence[str], asked: Sequence[str]) -> str:
    """*where* is '' if the cluster did not answer; *titles* are the workloads of the namespace."""
    first = titles[0].partition("/")[2] if titles else "NAME-OF-A-DEPLOYMENT"
    workloads = ", ".join(f"{it}: {{}}" for it in asked or [first])
    lines = ["paste this into devcluster.yaml:", f"  name: {name}", f"  namespace: {namespace}"]
    lines.append(f"  workloads: {{{workloads}}}")
    if where and not titles:
        lines.append(f"{where} has no workloads")
    elif where:
        more = f" and {len(titles) - _LISTED} more" if len(titles) > _LISTED else ""
        lines.append(f"workloads of {where}: {', '.join(titles[:_LISTED])}{more}")
    return "\n".join(lines)
