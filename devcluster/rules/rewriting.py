"""Short Service names in the files of a private copy, as in the environment: only where one is a host.

A file gives no variable's name, so a line has to say it: ``define( 'DB_HOST', 'db' );``, ``host = db``,
``"host": "db"``.  ``define( 'DB_NAME', 'db' );`` stays.  Beside that the rules of ``hosts`` hold within
each quoted string, and in what is not quoted.

Bytes are kept: encoding, line ends, a missing last newline.  What holds a NUL or is larger than 1 MiB is
no configuration and is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from devcluster.rules.environment import names_host
from devcluster.rules.hosts import Host, find_hosts, mentions, qualify

LARGEST = 1 << 20
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_KEY = r"[A-Za-z_$][A-Za-z0-9_.$-]*"
# KEY = VALUE, KEY: VALUE, 'KEY', 'VALUE', "KEY" => "VALUE"; what stands before KEY is no matter.
_SETTING = re.compile(
    rf"(?:^|[\s,;{{(\[&])(?P<open>['\"]?)(?P<key>{_KEY})(?P=open)\]?\s*(?:=>|:=|=|:|,)\s*(?P<value>"
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[A-Za-z0-9.:,_-]{1,300}(?=\s*(?:$|[;#)}\]])|\s+[#;])"
    r")"
)
_FORBIDDEN = re.compile(
    r"(?:^|_)(?:USER|USERNAME|LOGIN|PASS|PASSWORD|PASSWD|PWD|SECRET|TOKEN|KEY|SALT|NAME|DATABASE|DBNAME|IMAGE)[0-9]*$"
)


@dataclass(frozen=True, slots=True)
class LineRewrite:
    """One host that was changed: ``line`` from 1.  Never the line itself."""

    line: int
    service: str
    to: str


def rewrite_text(
    data: bytes, *, services: Collection[str], namespace: str
) -> tuple[bytes, tuple[LineRewrite, ...]]:
    """*data* with its hosts qualified, and where; the very same bytes where nothing is to be changed."""
    if len(data) > LARGEST or b"\0" in data:
        return data, ()
    names = frozenset(services)
    made: list[LineRewrite] = []
    lines = []
    # latin-1 gives each byte a letter and back, so every encoding that has ASCII in it survives.
    for number, line in enumerate(data.decode("latin-1").split("\n"), 1):
        hosts = _line(line, names)
        lines.append(qualify(line, hosts, namespace) if hosts else line)
        found = dict.fromkeys(line[host.start : host.end] for host in hosts)
        made += (LineRewrite(number, name, f"{name}.{namespace}") for name in found)
    if not made:
        return data, ()
    return "\n".join(lines).encode("latin-1"), tuple(made)


def _line(line: str, services: frozenset[str]) -> tuple[Host, ...]:
    if not mentions(line, services):
        return ()
    found: set[Host] = set()
    settled: list[tuple[int, int]] = []
    for setting in _SETTING.finditer(line):
        start, end = _inside(line, *setting.span("value"))
        if _forbidden(setting["key"]):
            settled.append((start, end))
        elif names_host(setting["key"]):
            settled.append((start, end))
            found |= _shifted(line, start, end, services, whole=True)
    at = 0
    for quoted in _QUOTED.finditer(line):
        found |= _free(line, at, quoted.start(), services, settled)
        found |= _free(line, quoted.start() + 1, quoted.end() - 1, services, settled)
        at = quoted.end()
    found |= _free(line, at, len(line), services, settled)
    return tuple(sorted(found, key=lambda host: host.start))


def _forbidden(key: str) -> bool:
    words = re.sub(r"[^A-Za-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)).upper()
    return _FORBIDDEN.search(words) is not None and not names_host(key)


def _inside(line: str, start: int, end: int) -> tuple[int, int]:
    """A value without its quotes."""
    return (start + 1, end - 1) if line[start] in "'\"" else (start, end)


def _free(
    line: str, start: int, end: int, services: frozenset[str], settled: list[tuple[int, int]]
) -> set[Host]:
    """By the general rules, except within values whose key has decided already."""
    hosts = _shifted(line, start, end, services, whole=False)
    return {host for host in hosts if not any(low <= host.start < high for low, high in settled)}


def _shifted(line: str, start: int, end: int, services: frozenset[str], *, whole: bool) -> set[Host]:
    part = line[start:end].rstrip("\r")
    return {Host(host.start + start, host.end + start) for host in find_hosts(part, services, whole=whole)}
