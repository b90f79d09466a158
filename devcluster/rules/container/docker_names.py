"""The names and labels of everything that devcluster makes in Docker.

Rules: a project is context + namespace + name, so the same file used against two clusters makes two sets of
objects; names are for people; labels decide what is ours (``docs/architecture.md``, "What is on the
laptop").  A name belongs to one object, so a container or volume that already has it is replaced.

``__`` separates a workload's key from what belongs to it; neither part contains it.  The naive ``KEY-ROLE``
is ambiguous: ``api-gateway`` may be the gateway of ``api`` or a workload of that name.  So is ``KEY-VOLUME``.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

Role = Literal["netns", "gateway", "workload", "volume", "network", "files", "memory", "sync"]

PROJECT = "devcluster.project"
WORKLOAD = "devcluster.workload"
ROLE = "devcluster.role"
SPEC = "devcluster.spec"

_BETWEEN = "__"
_LONGEST = 63
_PART = re.compile(r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?", re.ASCII)
_FOREIGN = re.compile(r"[^a-z0-9_.-]+")


def project_id(context: str, namespace: str, name: str) -> str:
    """The project's name for Docker and for the state folder: *name* and 6 hex digits of the whole."""
    digest = hashlib.sha256("\0".join((context, namespace, name)).encode()).hexdigest()
    return f"{_plain(name)[:40]}-{digest[:6]}"


def project_name(project: str, context: str, namespace: str) -> str | None:
    """The inverse: the name if *project* is of this context and namespace, else None.  (The id cuts names of
    more than 40 characters.)"""
    name = project.rpartition("-")[0]
    return name if project_id(context, namespace, name) == project else None


def network_name(project: str) -> str:
    return f"devcluster-{project}"


def container_name(project: str, key: str, role: Role = "workload") -> str:
    """The workload's own container has no suffix: its name is the one that people type."""
    suffix = "" if role == "workload" else f"{_BETWEEN}{role}"
    return f"devcluster-{project}-{_part(key)}{suffix}"


def volume_name(project: str, key: str, volume: str) -> str:
    """The private copy of *volume*: its name in the pod, or a mount path."""
    return f"devcluster-{project}-{_part(key)}{_BETWEEN}{_part(volume)}"


def memory_name(volume: str) -> str:
    """The volume in which it is remembered what the private copy *volume* and the pod's had alike."""
    return f"{volume}{_BETWEEN}sync"


def mount_name(project: str, key: str, source: str) -> str:
    """The Docker volume *source* of ``mounts``; a volume of the pod may have the same name."""
    return f"devcluster-{project}-{_part(key)}{_BETWEEN}mounts{_BETWEEN}{_part(source)}"


def labels(project: str, role: Role, key: str | None = None) -> dict[str, str]:
    """The labels of an object of devcluster; *key* None: it belongs to the whole project."""
    result = {PROJECT: project, ROLE: role}
    return result if key is None else result | {WORKLOAD: key}


def _part(text: str) -> str:
    """*text* without ``__``, and short enough: Docker keeps a volume in a folder of its name, at most 255
    bytes."""
    return text if _PART.fullmatch(text) and _BETWEEN not in text else _changed(text, 8)


def _plain(text: str) -> str:
    """The same for a project, which may contain ``__``, because its digest ends it."""
    return text if _PART.fullmatch(text) else _changed(text, 4)


def _changed(text: str, digits: int) -> str:
    """*text* in Docker's alphabet; if that changes it, a digest keeps two names apart."""
    plain = _FOREIGN.sub("-", text.lower())
    plain = re.sub("_{2,}", "-", plain).strip("-._")[:_LONGEST].strip("-._") or "x"
    return f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:digits]}"
