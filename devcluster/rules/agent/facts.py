"""What the agent reports of the application's own container (``control``'s ``inspect``)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class PodMount:
    """One of the container's own mounts, also of what admission added.  ``path``: where the kernel has it,
    which is not the spec's where the image has a link there.  ``kind``: of its file system (``tmpfs`` is in
    memory); ``size``: bytes that a ``tmpfs`` may have, or 0; ``projected``: kubelet writes it anew (a secret,
    a token, a ConfigMap)."""

    path: str
    is_file: bool = False
    read_only: bool = False
    kind: str = ""
    size: int = 0
    projected: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that somebody in the pod listens on; *address* ``0.0.0.0`` or ``::``: on every address."""

    address: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class Rights:
    """What the kernel lets the application do.  ``capabilities``: those that it can ever have, as bits."""

    capabilities: int
    no_new_privileges: bool
    read_only_root: bool


@dataclass(frozen=True, slots=True)
class PodFacts:
    """The pod as its application sees it.

    Text that need not be UTF-8 (environment, command) is decoded with ``surrogateescape``, so that
    ``value.encode("utf-8", "surrogateescape")`` gives the same bytes back.
    """

    environment: tuple[tuple[str, str], ...]
    command: tuple[str, ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    hostname: str
    address: str
    resolv_conf: str
    hosts: str
    mounts: tuple[PodMount, ...] = ()
    listeners: tuple[Listener, ...] = ()  # the application, or before it was stopped
    neighbours: tuple[Listener, ...] = ()  # the pod's other containers
    real: Mapping[str, str] = field(default_factory=dict)  # where paths lead that were asked for
    rights: Rights | None = None


def parse_facts(answer: Mapping[str, Any]) -> PodFacts:
    """The answer of ``inspect`` as a value.  A variable without ``=`` has the empty value."""
    pairs = (_text(item).partition("=") for item in answer["environment"])
    return PodFacts(
        environment=tuple((name, value) for name, _, value in pairs),
        command=tuple(_text(item) for item in answer["command"]),
        cwd=answer["cwd"],
        uid=answer["uid"],
        gid=answer["gid"],
        groups=tuple(answer["groups"]),
        hostname=answer["hostname"],
        address=answer["address"],
        resolv_conf=answer["resolv_conf"],
        hosts=answer["hosts"],
        mounts=tuple(_mount(item) for item in answer["mounts"]),
        listeners=parse_listeners(answer["listeners"]),
        neighbours=parse_listeners(answer["neighbours"]),
        real=answer.get("real") or {},  # an older agent does not tell it
        rights=_rights(answer["rights"]) if "rights" in answer else None,  # nor this
    )


def parse_listeners(told: Iterable[Mapping[str, Any]]) -> tuple[Listener, ...]:
    """``listeners`` or ``neighbours`` of an agent's State as values."""
    return tuple(Listener(item["address"], item["port"], item["protocol"]) for item in told)


def _mount(item: Mapping[str, Any]) -> PodMount:
    return PodMount(
        item["path"], item["file"], item["read_only"], item["kind"], item["size"], item["projected"]
    )


def _rights(told: Mapping[str, Any]) -> Rights:
    return Rights(int(told["capabilities"] or "0", 16), told["no_new_privileges"], told["read_only_root"])


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
