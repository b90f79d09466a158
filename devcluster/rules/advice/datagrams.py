"""Ports of a workload that do not speak TCP: only TCP comes to the laptop.

Where the original stops, nobody answers there: `up` of a container says so beforehand, that of a process is
refused.  Where the original runs on, it still answers there; for a process its user says by `services` that
this is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from devcluster.config.model import Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.services import routes
from devcluster.rules.cluster.template import find_container
from devcluster.rules.ports.ports import declared_ports

Json = dict[str, Any]

Datagrams = Literal["kept", "told", "refused"]
"""The original goes on answering them; nobody does, and `up` says so; or there is no `up`."""


def find_datagrams(services: Sequence[Json], template: Json, container: str) -> tuple[str, ...]:
    """What a Service leads to *container*, and what *container* declares besides, in words."""
    found = [it for it in routes(services, template, container=container) if not it.port.led]
    declared = {key for key in declared_ports(find_container(template, container)) if not key.led}
    bare = sorted(declared - {it.container_port for it in found})
    names = [f"service/{it.service} port {it.port}" for it in found]
    return (*names, *(f"port {key} of container {container}" for key in bare))


def refuse_datagrams(workload: Workload, services: Sequence[Json], template: Json, container: str) -> None:
    """ConfigurationError where *workload* has some, and `services` does not say that the others are meant."""
    names = find_datagrams(services, template, container) if workload.services is None else ()
    if names:
        raise ConfigurationError(
            f"workloads.{workload.key}: only TCP comes to a process, not {', '.join(names)}",
            hint="`mode: intercept` with `services: [NAME]` leads the TCP of these Services here; the "
            "original goes on answering all else",
        )
