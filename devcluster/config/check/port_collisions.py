"""Whether two written ports are one port of the laptop, which Docker would refuse half-way.

Rule: the same question is asked of one workload's ports when the file is read, and of all workloads that an
``up`` starts together.  The naive way, to compare addresses as texts, accepts ``0.0.0.0:80`` beside
``127.0.0.1:80``: the first includes the second.  (``[::]`` does not include ``0.0.0.0``: Docker binds each
family separately.)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from devcluster.config.model import Publish


def exact_port(publish: Publish) -> int | None:
    """The port that has to be this one; None if another will do: of several (``8000-8010:80``) Docker takes
    the first free one."""
    return publish.local if publish.written and publish.last is None else None


def find_collisions(ports: Sequence[Publish]) -> list[tuple[int, int]]:
    """Each of *ports* that an earlier one already uses, as (index of the earlier one, own index)."""
    seen: dict[tuple[str, int], list[int]] = {}
    result: list[tuple[int, int]] = []
    for index, publish in enumerate(ports):
        if (number := exact_port(publish)) is None:
            continue
        others = seen.setdefault((publish.protocol, number), [])
        result += [(it, index) for it in others if addresses_meet(ports[it].address, publish.address)][:1]
        others.append(index)
    return result


def addresses_meet(one: str, other: str) -> bool:
    """Whether a port can't be bound at both."""
    addresses = [ipaddress.ip_address(it) for it in (one, other)]
    same_family = addresses[0].version == addresses[1].version
    return same_family and (addresses[0] == addresses[1] or any(it.is_unspecified for it in addresses))
