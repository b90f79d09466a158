"""Ports of the laptop that the file names: found to be taken before anything is changed.

Docker binds them later and has the last word; this only avoids a roll-out for nothing.  Ports that the
project's own containers publish are not taken: those containers are replaced, whether after ``leave``, after
a host process that was killed, or because the file was edited.
"""

from __future__ import annotations

from collections.abc import Sequence

from devcluster.config.check.port_collisions import exact_port, find_collisions
from devcluster.config.model import Publish
from devcluster.edge.docker.engine import Docker, port_error
from devcluster.errors import ConfigurationError
from devcluster.run.wanted.wanted import Wanted


async def check_ports(
    docker: Docker, project: str, wanted: Sequence[Wanted], only: Sequence[str] = ()
) -> None:
    """ConfigurationError for a port of the file that somebody else has, or that is in the file twice.

    *only*: the workloads that change, and so release their ports; none: all of the project.
    """
    owned = [(item.workload.key, publish) for item in wanted for publish in item.publishes]
    for first, second in find_collisions([publish for _, publish in owned]):
        raise _collision(owned[first], owned[second])
    exact = [publish for _, publish in owned if exact_port(publish) is not None]
    if exact:
        engine = await docker.open()
        own = await engine.list_published(project, only)
        others = [it for it in exact if (it.protocol, it.local) not in own]
        for refusal in await engine.find_refusals(others):
            raise port_error(refusal)


def _collision(*both: tuple[str, Publish]) -> ConfigurationError:
    (key, publish), (other, again) = both
    names = key if key == other else f"{key} and {other}"
    if publish.address != again.address:
        names = f"{key} ({publish.address}) and {other} ({again.address})"
    return ConfigurationError(
        f"port {again.local} of the laptop is under `ports` twice: {names}", hint=_other(again)
    )


def _other(publish: Publish) -> str:
    assert publish.local is not None
    return f'write another one under `ports`, e.g. "{publish.local + 1}:{publish.container}"'
