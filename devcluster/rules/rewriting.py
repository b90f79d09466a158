"""Short Service names in the files of a private copy, as in the environment: only where one is a host.

A file gives no variable's name, so a line has to say it (``settings``): ``define( 'DB_HOST', 'db' );`` does,
``define( 'DB_NAME', 'db' );`` stays.

Bytes are kept: encoding, line ends, a missing last newline.  What holds a NUL or is larger than 1 MiB is
no configuration and is left alone.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Collection
from dataclasses import dataclass

from devcluster.rules.hosts import qualify
from devcluster.rules.settings import find_in_text

LARGEST = 1 << 20
RULES = 2
"""Another number where the same text would come out otherwise: copies are rewritten anew."""


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
    mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b""
    made: list[LineRewrite] = []
    lines = []
    # latin-1 gives each byte a letter and back, so every encoding that has ASCII in it survives.
    for number, line in enumerate(data.removeprefix(mark).decode("latin-1").split("\n"), 1):
        hosts = find_in_text(line, names)
        lines.append(qualify(line, hosts, namespace) if hosts else line)
        found = dict.fromkeys(line[host.start : host.end] for host in hosts)
        made += (LineRewrite(number, name, f"{name}.{namespace}") for name in found)
    if not made:
        return data, ()
    return mark + "\n".join(lines).encode("latin-1"), tuple(made)
