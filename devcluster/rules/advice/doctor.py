"""The lines of ``doctor``, each with a remedy if something is wrong.

``bad``: `up` would fail.  ``warning``: it works, but not as well as it could, or not for long.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from devcluster.rules.advice.network_overlap import meets, neighbourhood
from devcluster.rules.cluster.rights import Right

CheckState = Literal["ok", "warning", "bad"]

OLDEST_DOCKER = (20, 10)
OLDEST_KUBERNETES = (1, 25)
_LITTLE, _TOO_LITTLE = 5 << 30, 1 << 30  # bytes of disk
_SKEW, _BAD_SKEW = 5.0, 300.0  # seconds; beyond five minutes tokens are refused
_TOLD = 4  # ranges
_SOON = datetime.timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Check:
    """``subject``: docker, cluster, credentials, rights, lane or clock.  ``exit_code``: if it is bad."""

    subject: str
    state: CheckState
    text: str
    remedy: str = ""
    exit_code: int = 0


def check_version(subject: str, version: str, oldest: tuple[int, int], text: str, exit_code: int) -> Check:
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < oldest:
        wanted = ".".join(map(str, oldest))
        return Check(subject, "bad", f"{text}: too old", f"upgrade to {wanted} or newer", exit_code)
    return Check(subject, "ok", text)


def check_needless() -> Check:
    """Docker, where the file asks for no container."""
    return Check("docker", "ok", "not needed: every workload of the file runs as a process (`run: host`)")


def check_disk(free: int | None) -> Check:
    if free is None:
        return Check("docker", "ok", "the engine's disk is on another machine")
    text = f"{free / (1 << 30):.1f} GiB of disk space are free"
    if free >= _LITTLE:
        return Check("docker", "ok", text)
    remedy = "`docker system df` shows what uses it, `docker system prune` frees some"
    return Check("docker", "bad" if free < _TOO_LITTLE else "warning", text, remedy, 5)


def check_networks(networks: Mapping[str, str], seen: Sequence[tuple[str, str]]) -> tuple[Check, ...]:
    """*networks*: range by name.  *seen*: addresses and ranges of the cluster, each with the object that has
    it."""
    known = [(IPv4Network(text) if "/" in text else IPv4Address(text), of) for text, of in seen]
    around: dict[IPv4Network, str] = {}
    for item, of in known:
        around.setdefault(neighbourhood(item), of if isinstance(item, IPv4Network) else f"{of} has {item}")
    found = []
    for name, subnet in sorted(networks.items()):
        met = next((item for item in around.items() if meets(subnet, item[:1])), None)
        if met is not None:
            text = f"the Docker network {name} ({subnet}) overlaps the cluster's {met[0]} ({met[1]})"
            remedy = f"its containers can't reach all of the cluster; `docker network rm {name}` removes it"
            found.append(Check("docker", "warning", text, remedy))
    return tuple(found) or (Check("docker", "ok", _apart(len(networks), around)),)


def _apart(count: int, around: Mapping[IPv4Network, str]) -> str:
    if not around:
        return f"found no address of the cluster to compare {count} networks with; `up` looks again"
    told = [f"{network} ({why})" for network, why in sorted(around.items())]
    more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return f"none of {count} networks overlaps the cluster's {', '.join(told[:_TOLD])}{more}"


def check_expiry(
    kind: str, expires: datetime.datetime | None, now: datetime.datetime, *, renewable: bool
) -> Check:
    """*renewable*: a plugin gives fresh ones."""
    if expires is None:
        return Check("credentials", "ok", kind)
    text, remedy = (
        f"{kind}, until {expires:%Y-%m-%d %H:%M} UTC",
        "log in again, as your cluster's provider requires",
    )
    if expires <= now:
        return Check("credentials", "bad", f"{text}: expired", remedy, 4)
    if expires - now < _SOON and not renewable:
        return Check("credentials", "warning", f"{text}: expires soon", remedy)
    return Check("credentials", "ok", text)


def check_clock(skew: float | None) -> Check:
    if skew is None:
        return Check(
            "clock", "warning", "the API server did not say the time", "compare both clocks yourself"
        )
    ahead = "ahead of" if skew > 0 else "behind"
    if abs(skew) <= _SKEW:
        return Check("clock", "ok", "within 5 s of the cluster's")
    text = f"the laptop's clock is {abs(skew):.0f} s {ahead} the cluster's"
    remedy = "`timedatectl set-ntp true`, or set the clock"
    return Check("clock", "bad" if abs(skew) > _BAD_SKEW else "warning", text, remedy, 4)


def check_rights(missing: Iterable[Right], count: int, namespace: str) -> tuple[Check, ...]:
    """*missing* of *count* rights.  One of the two kinds of lanes is enough."""
    lost = tuple(missing)
    if not lost:
        return (Check("rights", "ok", f"all {count} in namespace {namespace}"),)
    names = {right.resource for right in lost}
    no_lane = {"pods/proxy", "pods/portforward"} <= names
    found = []
    for right in lost:
        lane = no_lane and right.resource in ("pods/proxy", "pods/portforward")
        without = "everything except up and leave, which need a lane" if lane else right.without
        remedy = "`devcluster role` prints the Role for an administrator to apply"
        text = f"cannot {right} in namespace {namespace}; what works without it: {without}"
        found.append(Check("rights", "bad" if right.needed or lane else "warning", text, remedy, 4))
    return tuple(found)
