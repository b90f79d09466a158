"""Where a Docker network and the cluster would have the same addresses.

An address within the range of a Docker network is on link for its containers: a pod or Service that has it
can't be reached from there.  The cluster's ranges are told to few (a Role in one namespace shows neither
Service CIDR nor nodes), its addresses to everybody; so one that was seen stands for its /16, since its
neighbours are the cluster's, too.  The naive way, to look for the addresses themselves, says that all is
well until the next Service is given one.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

_BITS = 16


def neighbourhood(item: IPv4Network | IPv4Address) -> IPv4Network:
    """What is the cluster's around *item*: a range that somebody told is that range."""
    return item if isinstance(item, IPv4Network) else IPv4Network((item, _BITS), strict=False)


def meets(subnet: str, taken: Iterable[IPv4Network]) -> bool:
    """Whether a Docker network with this range has an address of one of *taken*."""
    return any(IPv4Network(subnet).overlaps(other) for other in taken)
