"""What ``devcluster.yaml`` says, as values.  Defaults that need no cluster are filled in here;
what only the live workload knows stays ``None`` and is derived later (``rules``).

Durations are seconds (float), sizes are bytes (int), paths are absolute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

KindName = Literal["deployment", "statefulset", "daemonset"]
Order = Literal["start-first", "stop-first"]
Take = Literal["front", "direct"]
Mode = Literal["replace", "intercept", "ingest"]
Run = Literal["container", "host"]
Delivery = Literal["memfd", "emptydir"]
VolumeMode = Literal["copy", "sync", "empty", "off"]
PullPolicy = Literal["always", "missing", "never"]


@dataclass(frozen=True, slots=True)
class Agent:
    """``fronts``: the first number of the ports by which Services' connections enter the agent."""

    port: int = 9900
    fronts: int = 47100
    lease: float = 15.0
    delivery: Delivery = "memfd"


@dataclass(frozen=True, slots=True)
class Network:
    """What the laptop answers instead of the pod.

    ``names``: patterns such as ``*.corp.example``; ``networks``: CIDRs in text, ``192.168.7.0/24``.
    """

    names: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()


def render_address(host: str, port: int) -> str:
    """``db:3306``, ``[fd00::1]:80``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """``host:port``, as a pod reaches it, on port ``local`` of the laptop's 127.0.0.1; None: any free one."""

    host: str
    port: int
    local: int | None = None

    def __str__(self) -> str:
        local = "" if self.local is None else f"{self.local}:"
        return f"{local}{render_address(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class Target:
    """``kind/name/container``; None if the file leaves it to the cluster."""

    name: str
    kind: KindName | None = None
    container: str | None = None


@dataclass(frozen=True, slots=True)
class Publish:
    """One published port.  ``local`` None: any free one; with ``last``: the first free one from ``local`` to
    ``last``.  ``written``: it is in the file, so a taken port is an error."""

    container: int
    local: int | None
    address: str = "127.0.0.1"
    protocol: Literal["tcp", "udp"] = "tcp"
    written: bool = True
    last: int | None = None

    def __str__(self) -> str:
        """As it is written under `ports`: ``8080:80``, ``8000-8010:80``, ``80`` for any free port."""
        last = f"-{self.last}" if self.last else ""
        return f"{self.local}{last}:{self.container}" if self.local else str(self.container)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``variables`` None: every variable by the rules; a tuple: only these, whole value.
    ``services`` None: every Service of the namespace."""

    environment: bool = True
    variables: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class VolumeRule:
    """Settings of one of the pod's volumes; ``key`` is its name or a mount path.  ``force``: synced though it
    holds a database's data folder."""

    key: str
    mode: VolumeMode = "copy"
    path: Path | None = None
    rewrite: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """One Compose bind or named volume under ``mounts``.

    ``propagation`` '' is Docker's (rprivate); ``create``: a missing folder of the laptop is created;
    ``selinux``: its label fits all containers (``z``) or this one (``Z``); ``copy``: an empty volume starts
    with the image's content; ``size`` (bytes), ``permissions``: a tmpfs'.
    """

    source: str
    target: str
    read_only: bool = False
    kind: Literal["bind", "volume", "tmpfs"] = "bind"
    propagation: str = ""
    create: bool = True
    selinux: str = ""
    copy: bool = True
    size: int | None = None
    permissions: int | None = None


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """``from-pod``, ``off`` or Compose's block (``test`` as Docker wants it, e.g. ``("CMD", "true")``)."""

    source: Literal["from-pod", "off", "block"] = "from-pod"
    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None
    start_interval: float | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """Compose's keys that pass to ``docker run`` as they are; None or () if not written."""

    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    init: bool | None = None
    labels: tuple[tuple[str, str], ...] = ()
    mem_limit: int | None = None
    cpus: float | None = None
    privileged: bool = False
    security_opt: tuple[str, ...] = ()
    shm_size: int | None = None
    stdin_open: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    tmpfs: tuple[str, ...] = ()
    tty: bool = False
    ulimits: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """One entry of ``workloads``; ``key`` is its local name.

    ``services`` None: all that can be led.  ``port_map``: number or name of a port of the pod, and the local
    port.  ``ports``: what is added to the default; (): none at all, None: nothing was written.
    ``commanded``: a command of `devcluster run` serves it, which no file says."""

    key: str
    target: Target
    mode: Mode = "replace"
    run: Run = "container"
    commanded: bool = False
    take: Take | None = None  # None: front, unless NetworkPolicies shut it out
    order: Order | None = None
    image: str | None = None
    pull_policy: PullPolicy = "missing"
    pod_command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    working_dir: str | None = None
    user: str | None = None
    services: tuple[str, ...] | None = None
    port_map: tuple[tuple[int | str, int], ...] = ()
    ports: tuple[Publish, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()  # resolved: env_file first, environment over it
    env_exclude: tuple[str, ...] = ()
    env_export: Path | None = None
    rewrite: Rewrite = field(default_factory=Rewrite)
    volumes: tuple[VolumeRule, ...] = ()
    mounts: tuple[Mount, ...] = ()
    healthcheck: Healthcheck = field(default_factory=Healthcheck)
    runtime: Runtime = field(default_factory=Runtime)


@dataclass(frozen=True, slots=True)
class Project:
    """The whole file.  ``context`` and ``namespace`` None: the kubeconfig decides."""

    name: str
    file: Path | None = None
    context: str | None = None
    namespace: str | None = None
    agent: Agent = field(default_factory=Agent)
    network: Network = field(default_factory=Network)
    tunnels: tuple[Tunnel, ...] = ()
    workloads: tuple[Workload, ...] = ()
