"""The environment of a process on the laptop (`run: host`): the pod's, as far as it means something here.

Rules, in this order:
1. variables about the machine are the laptop's: its PATH, its HOME;
2. `env: exclude` removes variables, and tunnels replace what they lead to (``tunnel_rewriting``);
3. DEVCLUSTER_ROOT is the folder in which the copies of the pod's volumes lie at the pod's paths, and
   DEVCLUSTER_MOUNTS the list of those paths;
4. what the file says overrides all of that, unchanged.

The naive way passes on all that the pod has, and the process can't find its own interpreter.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from devcluster.config.model import Workload
from devcluster.rules.container.environment import LocalEnvironment, rewritable_services
from devcluster.rules.container.tunnel_rewriting import OpenTunnel, Tunnelled, use_tunnels
from devcluster.rules.names.service_names import ServiceSight

Json = dict[str, Any]
ROOT = "DEVCLUSTER_ROOT"
MOUNTS = "DEVCLUSTER_MOUNTS"
OWN = frozenset(
    (
        *("HOME", "LANG", "LOGNAME", "OLDPWD", "PATH", "PWD", "SHELL", "SHLVL", "TERM", "TMPDIR", "USER"),
        *("JAVA_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME"),  # the image's own programs
    )
)
"""What is never the pod's for a process on the laptop."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process has around it.  ``domains``: the cluster's own; ``mounts``: the pod's paths of the
    copies below ``root``."""

    services: tuple[ServiceSight, ...]
    namespace: str
    domains: tuple[str, ...]
    tunnels: tuple[OpenTunnel, ...]
    root: Path
    mounts: tuple[str, ...] = ()


def laptop_environment(
    facts_env: Sequence[tuple[str, str]], workload: Workload, around: Surroundings
) -> LocalEnvironment:
    """*facts_env* as the agent reports it.  A byte that is no UTF-8 is a lone surrogate, as the system's."""
    written = dict(workload.environment)
    pod = {
        name: value
        for name, value in facts_env
        if name not in OWN
        and name not in written
        and not any(fnmatchcase(name, pattern) for pattern in workload.env_exclude)
    }
    used = _use(pod, workload, around)
    folders = {ROOT: str(around.root), MOUNTS: ":".join(around.mounts)} if around.mounts else {}
    variables = used.variables | folders | written
    return LocalEnvironment(tuple(variables.items()), used.made, used.notes)


def _use(pod: dict[str, str], workload: Workload, around: Surroundings) -> Tunnelled:
    if not workload.rewrite.environment:
        return Tunnelled(pod)
    names = rewritable_services(workload, [it.name for it in around.services], around.namespace)
    return use_tunnels(
        pod,
        services=around.services,
        left=[it.name for it in around.services if it.name not in names],
        namespace=around.namespace,
        domains=around.domains,
        tunnels=around.tunnels,
        only=workload.rewrite.variables,
        beside=dict(workload.environment),
    )


def service_sights(services: Collection[Json]) -> tuple[ServiceSight, ...]:
    """The namespace's, as the API server has them."""
    return tuple(_sight(item["metadata"]["name"], item["spec"]) for item in services)


def _sight(name: str, spec: Json) -> ServiceSight:
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    ports = tuple(port["port"] for port in spec.get("ports") or [])
    return ServiceSight(name, tuple(it for it in addresses if it and it != "None"), ports)
