"""What all attachments of a host process share."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.edge.docker.engine import Engine
from devcluster.edge.kube.cluster import Cluster
from devcluster.run.place import Place


@dataclass(frozen=True, slots=True)
class Site:
    """*secret*: this laptop's key for digests of secrets."""

    place: Place
    cluster: Cluster
    engine: Engine
    secret: bytes = field(repr=False)


def gateway_binary(architecture: str) -> Path:
    """The gateway's static binary for the Docker engine's architecture."""
    return Path(__file__).parent.parent / "binaries" / architecture / "devcluster-gateway"


def read_secret(place: Place) -> bytes:
    """This project's key on this laptop; made at the first call."""
    path = place.state / "digest.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()
