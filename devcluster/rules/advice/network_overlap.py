"""Where a Docker network and the cluster would have the same addresses.

An address within the range of a Docker network is on link for its containers, so they can't reach a pod or
Service that has it.  Few Roles may read the cluster's ranges (a Role in one namespace shows neither Service
CIDR nor nodes), but everyone sees addresses.  So each address seen stands for its /16.  The naive way
compares the addresses themselves: all seems well until the next Service gets one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

_BITS = 16


def neighbourhood(item: IPv4Network | IPv4Address) -> IPv4Network:
    """The range of the cluster around *item*; a range that is known stands for itself."""
    return item if isinstance(item, IPv4Network) else IPv4Network((item, _BITS), strict=False)


def meets(subnet: str, taken: Iterable[IPv4Network]) -> bool:
    """Whether a Docker network with this range overlaps one of *taken*."""
    return any(IPv4Network(subnet).overlaps(other) for other in taken)
