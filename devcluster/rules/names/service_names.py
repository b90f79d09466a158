"""Every way to write a host of the cluster, and its own name: the shortest one.

``db`` is the own name of a Service of this namespace, whether it is written ``db``, ``db.shop``,
``db.shop.svc.cluster.local`` or as its ClusterIP; ``db-0.db`` that of a pod behind a headless one, and
``db.infra`` that of a Service elsewhere.

Rules:
- what ends in ``.svc`` or ``.svc.DOMAIN`` is a Service, and what a headless Service's name ends is one of its
  pods, whether or not anybody has listed it;
- any other name with a dot may be the Internet's: it counts only where its user has named it.

The naive way, to add the namespace to a short name, misses whoever wrote the long one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

_DOTTED = re.compile(r"(?<![A-Za-z0-9_.-])[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ServiceSight:
    """A Service of the namespace; ``addresses``: its ClusterIPs, () for a headless one."""

    name: str
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


class ServiceNames:
    """*domains*: the cluster's own; *hosts*: what its user has named; *texts*: in which others may stand;
    *left*: Services that don't count."""

    def __init__(
        self,
        services: Sequence[ServiceSight],
        namespace: str,
        domains: Collection[str],
        *,
        hosts: Iterable[str] = (),
        texts: Iterable[str] = (),
        left: Collection[str] = (),
    ) -> None:
        self._services = {service.name: service for service in services}
        self._namespace, self._left = namespace, frozenset(left)
        self._ends = (".svc", *(f".svc.{domain}" for domain in domains))
        self._names: dict[str, str] = {}
        for service in services:
            self._know(service.name, *service.addresses)
        for host in hosts:
            self._know(self.own_name(host))
        for word in dict.fromkeys(word for text in texts for word in _DOTTED.findall(text)):
            name = self.own_name(word)
            if word.endswith(self._ends) or self._is_pod(name):
                self._know(name)

    def own_name(self, host: str) -> str:
        bare = host.removesuffix(".")
        if bare in self._names:
            return self._names[bare]
        end = next((end for end in self._ends if bare.endswith(end)), "")
        return bare.removesuffix(end).removesuffix(f".{self._namespace}")

    def ports_of(self, name: str) -> tuple[int, ...] | None:
        """By its own name; None for a Service of another namespace."""
        service = self._services.get(name.partition(".")[2] if self._is_pod(name) else name)
        return service.ports if service is not None else None

    def plain(self, text: str) -> tuple[str, dict[str, str]]:
        """*text* with a short word for each, of the same length, and the own names of these words."""
        meant = {name: name for name in self._services if name not in self._left}

        def word(match: re.Match[str]) -> str:
            if (name := self.own_name(match[0])) in self._left:
                return match[0]
            number = len(meant)
            while (made := f"x{number:0{len(match[0]) - 1}d}"[: len(match[0])]) in meant or made in text:
                number += 1
            meant[made] = name
            return made

        return (self._spelled.sub(word, text) if self._spelled else text), meant

    def _is_pod(self, name: str) -> bool:
        service = self._services.get(name.partition(".")[2])
        return service is not None and not service.addresses

    def _know(self, name: str, *addresses: str) -> None:
        local = f"{name}.{self._namespace}"
        wholes = (local, name) if "." in name else (local,)
        longer = (f"{whole}{end}" for whole in wholes for end in ("", *self._ends))
        self._names |= dict.fromkeys((name, *longer, *addresses), name)

    @functools.cached_property
    def _spelled(self) -> re.Pattern[str] | None:
        spelled = sorted((it for it in self._names if it not in self._services), key=len, reverse=True)
        words = "|".join(map(re.escape, spelled))
        outside = r"(?![A-Za-z0-9_-]|\.[A-Za-z0-9])"
        return re.compile(rf"(?<![A-Za-z0-9_.-])(?:{words})\.?{outside}") if words else None
