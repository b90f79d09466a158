"""The local container: what Docker is asked for, from the pod, the agent's facts and the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from devcluster.config.model import Healthcheck, Mount, Runtime


@dataclass(frozen=True, slots=True)
class VolumeBind:
    """``source``: a Docker volume's name or an absolute path of the laptop; ``file``: of the volume only the
    file of this name is mounted."""

    source: str
    destination: str
    read_only: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The workload's container.  None: the image's own.

    ``environment``: over the image's own.
    ``health``: None when probed through the gateway or not at all; Docker's own else.
    ``memory_volumes``: (path, bytes or None) of memory-backed emptyDirs, as tmpfs.
    """

    image: str
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    working_dir: str | None = None
    user: str | None = None
    groups: tuple[int, ...] = ()
    volumes: tuple[VolumeBind, ...] = ()
    memory_volumes: tuple[tuple[str, int | None], ...] = ()
    mounts: tuple[Mount, ...] = ()
    health: Healthcheck | None = None
    stop_signal: str | None = None
    stop_grace: float = 30.0
    read_only_root: bool = False
    runtime: Runtime = field(default_factory=Runtime)
