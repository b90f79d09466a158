"""Compose's short and long forms of ports, mounts, ulimits and the like, each as one value.

Source: https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Literal

from devcluster.config.model import KindName, Mount, Publish, Target, Tunnel


def _forms(short: str, kind: str, group: str = "") -> tuple[str, ...]:
    """As people type it, and as kubectl prints it (``-o name``, ``created``)."""
    names = (kind, short, f"{kind}s")
    return names + ((f"{kind}.{group}", f"{kind}s.{group}") if group else ())


KIND_NAMES: tuple[KindName, ...] = ("deployment", "statefulset", "daemonset")
_KINDS = {
    form: kind
    for short, kind in zip(("deploy", "sts", "ds"), KIND_NAMES, strict=True)
    for form in _forms(short, kind, "apps")
}
KINDS = tuple(_KINDS)
_REFUSED = {
    form: row[1]
    for row in (
        ("rs", "replicaset", "apps"),
        ("po", "pod", ""),
        ("job", "job", "batch"),
        ("cj", "cronjob", "batch"),
        ("rc", "replicationcontroller", ""),
    )
    for form in _forms(*row)
}
NAMED = r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_NAME = re.compile(NAMED, re.ASCII)
TARGET = rf"{NAMED}|(?:{'|'.join(map(re.escape, KINDS))})/{NAMED}(?:/{NAMED})?"
SHORT_PORT = (
    r"(?:(?:(\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:.]+|localhost):)?([0-9]*(?:-[0-9]+)?):)?"
    r"([0-9]+(?:-[0-9]+)?)(?:/({}))?"
)
PUBLISHED = r"[0-9]{1,5}(?:-[0-9]{1,5})?"
_PORT = re.compile(SHORT_PORT.format("(?i:tcp|udp)"), re.ASCII)
_WIDEST = 1000
SELINUX = ("z", "Z")
_OPTIONS = ("ro", "rw", *SELINUX, "cached", "delegated", "consistent", "nocopy")
PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


def parse_target(text: str) -> Target:
    """``name``, ``kind/name`` or ``kind/name/container``."""
    parts = text.split("/")
    known = f"{', '.join(KIND_NAMES[:-1])} or {KIND_NAMES[-1]}"
    if len(parts) in (2, 3) and parts[0] not in (*_KINDS, *_REFUSED):
        raise ValueError(f"expected {known} before the first /")
    if len(parts) > 3 or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError("expected kind/name/container, kind/name or name")
    if len(parts) == 1:
        return Target(parts[0])
    if (refused := _REFUSED.get(parts[0])) is not None:
        raise ValueError(f"expected {known}: a {refused} can have no agent, what it belongs to may")
    return Target(parts[1], _KINDS[parts[0]], parts[2] if len(parts) == 3 else None)


def parse_ports(text: str) -> list[Publish]:
    """Compose's short form: ``8080``, ``80:8080``, ``127.0.0.1:80:8080/udp``, ``8000-8002:9000-9002``, and
    ``8000-8010:80`` (the first free one)."""
    found = _PORT.fullmatch(text)
    if found is None:
        raise ValueError("expected [ADDRESS:][HOST:]CONTAINER[/udp]")
    address, host, container, protocol = found.groups()
    where, kind = _address(address), parse_protocol(protocol or "tcp")
    low, high = _ends(container)
    if low == high:
        first, last = parse_published(host or "0")
        return [Publish(low, first, where, kind, last=last)]
    inside = _range(low, high)
    outside: list[int | None] = [*_range(*_ends(host))] if host else [None] * len(inside)
    if len(outside) != len(inside):
        raise ValueError("expected as many ports on the laptop as in the container")
    return [Publish(number, port, where, kind) for number, port in zip(inside, outside, strict=True)]


def parse_published(text: str) -> tuple[int | None, int | None]:
    """The laptop's port, and the last one if any of several will do.  ``0`` means any at all."""
    if not re.fullmatch(PUBLISHED, text, re.ASCII):
        raise ValueError("expected a port from 1 to 65535, or FIRST-LAST")
    if text == "0":
        return None, None
    low, high = _ends(text)
    return low, high if high > low else None


def _ends(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if len(first) > 6 or len(last) > 6 or not first:
        raise ValueError("expected a port from 1 to 65535")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535:
        raise ValueError("expected a port from 1 to 65535")
    return low, high


def _range(low: int, high: int) -> list[int]:
    if high - low >= _WIDEST:
        raise ValueError(f"expected at most {_WIDEST} ports")
    return list(range(low, high + 1))


def _address(text: str | None) -> str:
    if text is None or text == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("expected [ADDRESS:][HOST:]CONTAINER[/udp]") from None


def parse_protocol(text: str) -> Literal["tcp", "udp"]:
    """In upper or lower case, as in Compose."""
    if text.lower() not in ("tcp", "udp"):
        raise ValueError("expected tcp or udp")
    return "udp" if text.lower() == "udp" else "tcp"


def build_port(found: dict[str, Any]) -> list[Publish]:
    """Compose's long form."""
    first, last = found.get("published", (None, None))
    address, kind = _address(found.get("host_ip")), found.get("protocol", "tcp")
    return [Publish(found["target"], first, address, kind, last=last)]


def parse_host_ip(text: str) -> str:
    try:
        return _address(text)
    except ValueError:
        raise ValueError("expected an IP address") from None


_OPTION = "|".join((*_OPTIONS, *PROPAGATIONS))
MOUNT = rf"(?:[^:]+:)?/[^:]*|[^:]+:/[^:]*:(?:{_OPTION})(?:,(?:{_OPTION}))*"


def parse_mount(text: str) -> Mount:
    """Compose's short form: ``SOURCE:TARGET[:ro]`` or ``TARGET``; paths still as written."""
    parts = text.split(":")
    if len(parts) == 1:
        return Mount("", _inside(parts[0]), False, "volume")
    if len(parts) > 3 or not parts[0]:
        raise ValueError("expected SOURCE:TARGET[:ro]")
    options = parts[2].split(",") if len(parts) == 3 else []
    spread = [option for option in options if option in PROPAGATIONS]
    if set(options) - {*_OPTIONS, *spread}:
        raise ValueError("expected ro or rw after the second colon")
    named = not parts[0].startswith((".", "/", "~"))
    return Mount(
        parts[0],
        _inside(parts[1]),
        "ro" in options,
        "volume" if named else "bind",
        propagation="".join(spread[-1:]),
        selinux=next((it for it in SELINUX if it in options and not named), ""),
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
        selinux=bind.get("selinux", ""),
        copy=not found.get("volume", {}).get("nocopy", False),
        size=tmpfs.get("size"),
        permissions=tmpfs.get("mode"),
    )


_IPV6 = r"[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F:.]*"
HOST = rf"(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}}|{_IPV6}|\[{_IPV6}\]|host-gateway"


def parse_host(text: str) -> str:
    """An address for a hosts file; ``host-gateway`` is the laptop."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return bare if bare == "host-gateway" else str(ipaddress.ip_address(bare))
    except ValueError:
        raise ValueError("expected an IP address or host-gateway") from None


def build_device(found: dict[str, Any]) -> str:
    """Compose's long form as its short one."""
    return ":".join((found["source"], found.get("target", found["source"]), found.get("permissions", "rwm")))


def parse_cpus(text: str) -> float | None:
    """None for 0, which means all of them."""
    number = float(text)
    if not 0 <= number < 1 << 20 or "_" in text:  # NaN is refused as well
        raise ValueError
    return number or None


def parse_tmpfs(text: str) -> str:
    return _inside(text)


_LOCAL_NAME = r"(?:\*\.)?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?"
LOCAL = rf"{_LOCAL_NAME}|[0-9a-fA-F.:]+(?:/[0-9.]+)?"


def parse_local(text: str) -> str:
    """An entry of ``network.local``: a name, ``*.name``, an address or a network."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        pass
    if len(text) > 253 or re.fullmatch(r"[0-9./:]+", text) or not re.fullmatch(_LOCAL_NAME, text, re.ASCII):
        raise ValueError("expected a name, *.name, an address or a network such as 192.168.7.0/24")
    return text.lower()


def is_network(text: str) -> bool:
    return "/" in text


def parse_ulimit(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"-1|[0-9]{1,15}", text, re.ASCII):
        raise ValueError("expected a number, or {soft: …, hard: …}")
    return int(text), int(text)


TUNNEL = r"(?:([0-9]{1,5}):)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]*[A-Za-z.][A-Za-z0-9._-]*):([0-9]{1,5})"


def parse_tunnel(text: str) -> Tunnel:
    """``[PORT:]HOST:PORT``; TCP, as all that a pod's agent dials for a tunnel."""
    if re.search("/udp$", text, re.IGNORECASE):
        raise ValueError("expected a TCP port: UDP can't be tunnelled")
    found = re.fullmatch(TUNNEL, text, re.ASCII)
    if found is None:
        raise ValueError("expected [PORT:]HOST:PORT")
    local, host, port = found.groups()
    here = None if local in (None, "0") else _ends(local)[0]
    return Tunnel(host.strip("[]").lower(), _ends(port)[0], here)


EXPORTS = {".env": "docker", ".json": "json", ".sh": "sh", ".yaml": "yaml", ".yml": "yaml"}
"""The format of an exported environment, by how the file's name ends."""


def parse_export(text: str) -> str:
    if "\0" in text or export_format(text) is None:
        raise ValueError("expected a path that ends in .env, .json, .sh, .yaml or .yml")
    return text


def export_format(path: str) -> str | None:
    """A file that is called just ``.env`` has no suffix for Python, but an ending for its user."""
    return next((form for ending, form in EXPORTS.items() if path.endswith(ending)), None)
