"""``run --port [LOCAL:]PORT``: which port of the pod comes to which port of the laptop.

The rule in one sentence: a number alone is the laptop's, and what Services lead to comes to it; where they
lead to several ports, PORT says which: the pod's, by number or name, or a Service's that leads to it.  A name
alone is PORT, and the laptop's has the pod's number.

The naive way, to take a single number for the Service's, makes everybody whose server listens on 8080 type
80.  Nor is it the pod's: nobody knows the pod's port by heart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devcluster.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class PortWish:
    """``local`` None: the pod's number; ``port`` '': the only one."""

    local: int | None
    port: str = ""

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.local, self.port) if part)


@dataclass(frozen=True, slots=True)
class Way:
    """A port of a Service, by number and name, that leads to the pod's ``port``."""

    service: str
    number: int
    name: str
    port: int


def parse_port_wish(text: str) -> PortWish:
    """LOCAL, LOCAL:PORT or a name; ValueError for anything else."""
    found = re.fullmatch(r"(?:([0-9]{1,5})(?::|$))?([a-z0-9-]{1,63})?", text, re.ASCII)
    local, port = found.groups() if found is not None else (None, None)
    numbers = [int(it) for it in (local, port) if it and it.isdigit()]
    bare = local is None and (port is None or re.search("[a-z]", port) is None)
    if found is None or bare or text.endswith(":") or not all(1 <= it <= 65535 for it in numbers):
        raise ValueError("expected [LOCAL:]PORT")
    return PortWish(int(local) if local else None, port or "")


def choose_ports(
    wishes: Sequence[PortWish], ways: Sequence[Way], names: Mapping[str, int], *, whole: bool = False
) -> tuple[tuple[int, int], ...]:
    """Port of the pod and of the laptop; *names*: of the pod's own ports; *whole*: all that comes to the pod
    comes here, also to a port that nobody has named.  ConfigurationError where a wish means none, or
    several."""
    chosen: dict[int, int] = {}
    for wish in wishes:
        port = _choose(wish, ways, names, whole)
        if port in chosen:
            raise ConfigurationError(f"--port {wish}: port {port} of the pod comes to {chosen[port]} already")
        chosen[port] = wish.local or port
    return tuple(chosen.items())


def _choose(wish: PortWish, ways: Sequence[Way], names: Mapping[str, int], whole: bool) -> int:
    led = {way.port for way in ways}
    if not wish.port:
        found = led if len(led) == 1 else _meant(str(wish.local), ways, names)
    else:
        found = _meant(wish.port, ways, names)
    if len(found) == 1:
        return next(iter(found))
    number = wish.port or str(wish.local)
    if whole and not found and number.isdigit():
        return int(number)
    several = not wish.port and len(led) > 1
    none = "Services lead to several ports" if several else "there is no such port"
    said = f"port {wish.port or wish.local} may be {_listed(found)}" if found else none
    raise ConfigurationError(f"--port {wish}: {said}", hint=_choices(wish.local, ways))


def _meant(text: str, ways: Sequence[Way], names: Mapping[str, int]) -> set[int]:
    """The pod's own number or name comes first; both of them are all that a pod knows."""
    own = {way.port for way in ways if str(way.port) == text} | {
        port for name, port in names.items() if name == text or str(port) == text
    }
    return own or {way.port for way in ways if text in (str(way.number), way.name)}


def _listed(ports: set[int]) -> str:
    return " or ".join(str(port) for port in sorted(ports))


def _choices(local: int | None, ways: Sequence[Way]) -> str:
    here = f"{local}:" if local else ""
    lines = sorted({(way.port, way.service, way.number) for way in ways})
    return "\n".join(
        f"`--port {here}{port}` is what service/{service} leads to from its port {number}"
        for port, service, number in lines
    )
