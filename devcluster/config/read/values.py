"""Single values of the file, by name: how each is read, and its schema."""

from __future__ import annotations

import re

from devcluster.config.read import forms, shapes
from devcluster.config.read.shapes import Parsed, Schema, any_case, spelled, text, whole
from devcluster.config.text.globs import check_glob
from devcluster.config.text.units import parse_duration, parse_mode, parse_size

PORT = whole(1, 65535)
TEXT = text()
FILLED = text("text that is not empty", shapes.FILLED)
_DURATION = spelled(r"\s*(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:us|ms|s|m|h|d))+\s*")
_AMOUNT: Schema = {"type": "number", "minimum": 0, "maximum": 1 << 50}
_SIZE = spelled(r"\s*[0-9]{1,15}(?:\.[0-9]{1,9})?\s*[kmgtKMGT]?[iI]?[bB]?\s*", _AMOUNT)
_MODE = spelled(r"\s*(?:0[oO]?)?[0-9]{1,5}\s*", {"type": "integer", "minimum": 0, "maximum": 0o7777})
DURATION = Parsed(parse_duration, "a duration such as 15s, 1m30s or 500ms", _DURATION)
SIZE = Parsed(parse_size, "a size such as 512m or 1GiB", _SIZE)


def parse_lease(value: str) -> float:
    seconds = parse_duration(value)
    if not 3 <= seconds <= 3600:
        raise ValueError("expected a duration from 3s to 1h")
    return seconds


LEASE = Parsed(parse_lease, "a duration from 3s to 1h", _DURATION)
PERMISSIONS = Parsed(parse_mode, "permissions such as 0o1777", _MODE)
_TCP_OR_UDP = any_case("tcp", "udp")
PUBLISHED = Parsed(
    forms.parse_published,
    "a port from 1 to 65535, or FIRST-LAST",
    spelled(forms.PUBLISHED, {"type": "integer", "minimum": 0, "maximum": 65535}),
)
SHORT_PORT = Parsed(
    forms.parse_ports,
    "[ADDRESS:][HOST:]CONTAINER[/udp]",
    spelled(forms.SHORT_PORT.format(_TCP_OR_UDP), PORT.json),
)
HOST_IP = Parsed(
    forms.parse_host_ip, "an IP address", spelled(r"\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:.]+|localhost")
)
CPUS = Parsed(
    forms.parse_cpus, "a number of processors", spelled(r"\s*\+?[0-9.]+(?:[eE][+-]?[0-9]+)?\s*", _AMOUNT)
)
MOUNT = Parsed(forms.parse_mount, "SOURCE:TARGET[:ro]", spelled(forms.MOUNT))
TARGET = Parsed(
    forms.parse_target,
    "kind/name/container, kind/name or name",
    spelled(forms.TARGET, {"type": "integer", "minimum": 0}),
)
PROTOCOL = Parsed(forms.parse_protocol, "tcp or udp", spelled(_TCP_OR_UDP))
LOCAL = Parsed(forms.parse_local, "a name, *.name, an address or a network", spelled(forms.LOCAL))
TMPFS = Parsed(forms.parse_tmpfs, "an absolute path", spelled(r"/[\s\S]*"))
EXPORT = Parsed(
    forms.parse_export,
    "a path that ends in .env, .json, .sh, .yaml or .yml",
    spelled(rf"[\s\S]*(?:{'|'.join(map(re.escape, forms.EXPORTS))})"),
)
LIMIT = Parsed(
    forms.parse_ulimit,
    "a number, or {soft: …, hard: …}",
    spelled("-1|[0-9]{1,15}", {"type": "integer", "minimum": -1}),
)


def parse_glob(value: str) -> str:
    check_glob(value)
    return value


GLOB = Parsed(
    parse_glob, "a pattern (`[a-c]` matches one of these letters, `\\[` a bracket)", shapes.ANY_SCALAR
)
NAMESPACE = text("lower case letters, digits and -", r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
