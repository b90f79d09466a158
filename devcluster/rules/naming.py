"""The names and labels of everything that devcluster makes in Docker.

Rules: a project is context + namespace + name, so the same file used against two clusters makes two
sets of objects; names are for people, labels are for us (``docs/architecture.md``, "What is on the
laptop"): what is ours is found by its labels alone.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

Role = Literal["netns", "gateway", "workload", "volume", "network", "files"]

PROJECT = "devcluster.project"
WORKLOAD = "devcluster.workload"
ROLE = "devcluster.role"
SPEC = "devcluster.spec"

_FOREIGN = re.compile(r"[^a-z0-9_.-]+")


def project_id(context: str, namespace: str, name: str) -> str:
    """The project's name for Docker and for the state folder: *name* and 6 hex digits of the whole."""
    digest = hashlib.sha256("\0".join((context, namespace, name)).encode()).hexdigest()
    return f"{_plain(name)[:40]}-{digest[:6]}"


def project_name(project: str, context: str, namespace: str) -> str | None:
    """The inverse: the name, where *project* is of this context and namespace; else None.  (A name of more
    than 40 characters is lost in the id.)"""
    name = project.rpartition("-")[0]
    return name if project_id(context, namespace, name) == project else None


def network_name(project: str) -> str:
    return f"devcluster-{project}"


def container_name(project: str, key: str, role: Role = "workload") -> str:
    """The workload's own container has no suffix: its name is the one that people type."""
    suffix = "" if role == "workload" else f"-{role}"
    return f"devcluster-{project}-{_plain(key)}{suffix}"


def volume_name(project: str, key: str, volume: str) -> str:
    """*volume*: the pod's name of it, or a mount path."""
    return f"devcluster-{project}-{_plain(key)}-{_plain(volume)}"


def labels(project: str, role: Role, key: str | None = None) -> dict[str, str]:
    """What every object of ours carries; *key* None: it belongs to the whole project."""
    result = {PROJECT: project, ROLE: role}
    return result if key is None else result | {WORKLOAD: key}


def _plain(text: str) -> str:
    """Docker's alphabet; what had to be changed gets a digest, so that two names never meet."""
    plain = _FOREIGN.sub("-", text.lower()).strip("-._") or "x"
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:4]}"
