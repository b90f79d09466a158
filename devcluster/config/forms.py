"""Compose's short and long forms of ports, mounts, ulimits and the like, each as one value.

Source: https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from devcluster.config.model import Kind, Mount, Publish, Target

_KINDS: dict[str, Kind] = {
    "deployment": "deployment",
    "deploy": "deployment",
    "statefulset": "statefulset",
    "sts": "statefulset",
    "daemonset": "daemonset",
    "ds": "daemonset",
    "replicaset": "replicaset",
    "rs": "replicaset",
}
KINDS = tuple(_KINDS)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_PORT = re.compile(
    r"(?:(?:(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):)?(?P<host>[0-9]*(?:-[0-9]+)?):)?"
    r"(?P<container>[0-9]+(?:-[0-9]+)?)(?:/(?P<protocol>tcp|udp))?",
    re.ASCII,
)
_WIDEST = 1000
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def parse_target(text: str) -> Target:
    """``name``, ``kind/name`` or ``kind/name/container``."""
    parts = text.split("/")
    if len(parts) > 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError("expected kind/name/container, kind/name or name")
    if len(parts) == 1:
        return Target(parts[0])
    if parts[0] not in _KINDS:
        raise ValueError("expected deployment, statefulset, daemonset or replicaset before the first /")
    return Target(parts[1], _KINDS[parts[0]], parts[2] if len(parts) == 3 else None)


def parse_ports(text: str) -> list[Publish]:
    """Compose's short form: ``8080``, ``80:8080``, ``127.0.0.1:80:8080/udp``, ``8000-8002:9000-9002``."""
    found = _PORT.fullmatch(text)
    if found is None:
        raise ValueError("expected [ADDRESS:][HOST:]CONTAINER[/udp]")
    inside = _range(found["container"])
    outside: list[int | None] = [*_range(found["host"])] if found["host"] else [None] * len(inside)
    if len(outside) != len(inside):
        raise ValueError("expected as many ports on the laptop as in the container")
    address = _address(found["address"])
    return [
        Publish(number, host, address, "udp" if found["protocol"] == "udp" else "tcp")
        for number, host in zip(inside, outside, strict=True)
    ]


def _range(text: str) -> list[int]:
    first, _, last = text.partition("-")
    if len(first) > 6 or len(last) > 6 or not first:
        raise ValueError("expected a port from 1 to 65535")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535 or high - low >= _WIDEST:
        raise ValueError("expected a port from 1 to 65535")
    return list(range(low, high + 1))


def _address(text: str | None) -> str:
    if text is None or text == "localhost":
        return "127.0.0.1"
    return str(ipaddress.ip_address(text.strip("[]")))


def build_port(found: dict[str, Any]) -> list[Publish]:
    """Compose's long form."""
    published = found.get("published")
    return [
        Publish(
            found["target"],
            int(published) if published else None,
            _address(found.get("host_ip")),
            found.get("protocol", "tcp"),
        )
    ]


def parse_host_ip(text: str) -> str:
    try:
        return _address(text)
    except ValueError:
        raise ValueError("expected an IP address") from None


def parse_mount(text: str) -> Mount:
    """Compose's short form: ``SOURCE:TARGET[:ro]`` or ``TARGET``; paths still as written."""
    parts = text.split(":")
    if len(parts) == 1:
        return Mount("", _inside(parts[0]), False, "volume")
    if len(parts) > 3 or not parts[0]:
        raise ValueError("expected SOURCE:TARGET[:ro]")
    options = parts[2].split(",") if len(parts) == 3 else []
    spread = [option for option in options if option in PROPAGATIONS]
    if set(options) - {"ro", "rw", "z", "Z", "cached", "delegated", "consistent", "nocopy", *spread}:
        raise ValueError("expected ro or rw behind the second colon")
    named = not parts[0].startswith((".", "/", "~"))
    return Mount(
        parts[0],
        _inside(parts[1]),
        "ro" in options,
        "volume" if named else "bind",
        propagation="".join(spread[-1:]),
        copy="nocopy" not in options,
    )


def _inside(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError("expected an absolute path in the container")
    return path


def build_mount(found: dict[str, Any]) -> Mount:
    """Compose's long form."""
    bind, tmpfs = found.get("bind", {}), found.get("tmpfs", {})
    return Mount(
        found.get("source", ""),
        found["target"],
        found.get("read_only", False),
        found["type"],
        propagation=bind.get("propagation", ""),
        create=bind.get("create_host_path", True),
        copy=not found.get("volume", {}).get("nocopy", False),
        size=tmpfs.get("size"),
        permissions=tmpfs.get("mode"),
    )


def parse_tmpfs(text: str) -> str:
    return _inside(text)


def parse_local(text: str) -> str:
    """An entry of ``network.local``: a name, ``*.name``, an address or a network."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    name = r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?"
    if len(text) > 253 or re.fullmatch(r"[0-9./:]+", text) or not re.fullmatch(name, text, re.ASCII):
        raise ValueError("expected a name, *.name, an address or a network such as 192.168.7.0/24")
    return text.lower()


def is_network(text: str) -> bool:
    return "/" in text


def parse_ulimit(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"-1|[0-9]{1,15}", text, re.ASCII):
        raise ValueError("expected a number, or {soft: …, hard: …}")
    return int(text), int(text)


def parse_tunnel(text: str) -> str:
    if not re.fullmatch(r"([0-9]{1,5}:)?[a-z0-9.-]+:[0-9]{1,5}", text, re.ASCII):
        raise ValueError("expected LOCAL:NAME:PORT")
    return text
