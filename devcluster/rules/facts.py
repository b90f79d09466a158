"""What the agent reports of the application's own container (``control``'s ``inspect``)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    )


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode("utf-8", "surrogateescape")
