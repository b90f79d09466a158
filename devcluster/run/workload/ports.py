"""Ports of the laptop that stand in the file: found taken before anything is changed.

Docker binds them later and has the last word; this only spares a roll-out for nothing.  What the project's
own containers publish is not taken: they are replaced, be it after ``leave``, after a host process that was
killed, or because the file was edited.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from devcluster.config.model import Publish
from devcluster.edge.docker.engine import Engine
from devcluster.errors import ConfigurationError
from devcluster.run.workload.wanted import Wanted

Port = tuple[str, str, int]  # protocol, address, number


async def check_ports(
    engine: Engine, project: str, wanted: Sequence[Wanted], only: Sequence[str] = ()
) -> None:
    """ConfigurationError for a written port that somebody else has, or that stands in the file twice.

    *only*: the workloads that change, and so let go of their ports; none: all of the project.
    """
    owners: dict[Port, str] = {}
    for item in wanted:
        for publish in item.publishes:
            if publish.host is None or not publish.written:
                continue
            port = (publish.protocol, publish.address, publish.host)
            if other := owners.get(port):
                both = item.workload.key if other == item.workload.key else f"{other} and {item.workload.key}"
                raise ConfigurationError(
                    f"port {publish.host} of the laptop stands under `ports` twice: {both}",
                    hint=_other(publish),
                )
            owners[port] = item.workload.key
    if owners:
        own = await engine.list_published(project, only)
        for item in wanted:
            for publish in item.publishes:
                if publish.host and publish.written and (publish.protocol, publish.host) not in own:
                    _probe(publish)


def _probe(publish: Publish) -> None:
    kind = socket.SOCK_DGRAM if publish.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((publish.address, publish.host))
        except OSError as error:
            raise ConfigurationError(
                f"port {publish.host} of the laptop is taken ({publish.address}: {error.strerror})",
                hint=f"free it, or {_other(publish)}",
            ) from error


def _other(publish: Publish) -> str:
    assert publish.host is not None
    return f'write another one under `ports`, e.g. "{publish.host + 1}:{publish.container}"'
