"""What all attachments of a host process share."""

from __future__ import annotations

import os
import platform
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.edge.docker.engine import Docker, Engine
from devcluster.edge.kube.cluster import Cluster
from devcluster.errors import ConfigurationError
from devcluster.run.place import Place

_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Site:
    """*docker*: opened by the first who needs it; *secret*: this laptop's key for digests of secrets."""

    place: Place
    cluster: Cluster
    docker: Docker
    secret: bytes = field(repr=False)

    @property
    def engine(self) -> Engine:
        """For code that runs only where an engine was opened."""
        return self.docker.engine


def gateway_binary(architecture: str) -> Path:
    """The gateway's static binary for the Docker engine's architecture."""
    return Path(__file__).parent.parent / "binaries" / architecture / "devcluster-gateway"


def host_program() -> Path:
    """The same for this laptop itself (`run: host`).  ConfigurationError where there is none for it."""
    system, machine = platform.system().lower(), platform.machine().lower()
    architecture = _MACHINES.get(machine, machine)
    name = architecture if system == "linux" else f"{system}-{architecture}"
    binary = gateway_binary(name)
    if not binary.exists():
        raise ConfigurationError(
            f"`run: host` needs a program that devcluster does not have for {system} on {machine}",
            hint="it has it for Linux and macOS, on amd64 and arm64; `run: container` works everywhere",
        )
    return binary


def live_program() -> Path:
    """The program that keeps a folder of this laptop equal to the pod's.  ConfigurationError where there is
    none."""
    if platform.system() != "Linux":
        raise ConfigurationError(
            "`mode: sync` with `run: host` needs a program that devcluster does not have for "
            f"{platform.system()}",
            hint="`mode: copy` works here, and `run: container` with `mode: sync` everywhere",
        )
    return host_program()


def read_secret(place: Place) -> bytes:
    """This project's key on this laptop; the first call makes it."""
    path = place.state / "digest.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
