"""Short Service names in the files of a private copy, as in the environment: only where one is a host.

A file gives no variable's name, so a line has to say it (``settings``): ``define( 'DB_HOST', 'db' );`` does,
``define( 'DB_NAME', 'db' );`` stays.  What keeps a name in a variable keeps it here, too.

Bytes are kept: encoding, line ends, a missing last newline.  What holds a NUL or is larger than 1 MiB is
no configuration and is left alone.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Collection
from dataclasses import dataclass

from devcluster.rules.names.hosts import qualify
from devcluster.rules.names.proxies import extend_lists_in
from devcluster.rules.names.settings import find_in_text

LARGEST = 1 << 20
RULES = 3
"""Another number where the same text would come out otherwise: copies are rewritten anew."""


@dataclass(frozen=True, slots=True)
class LineRewrite:
    """One host that was changed, or left: ``line`` from 1.  Never the line itself."""

    line: int
    service: str
    to: str
    kept: str = ""


def rewrite_text(
    data: bytes, *, services: Collection[str], namespace: str
) -> tuple[bytes, tuple[LineRewrite, ...]]:
    """*data* with its hosts qualified, and where, and which stay; the very same bytes where none changes."""
    if len(data) > LARGEST or b"\0" in data:
        return data, ()
    mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b""
    # latin-1 gives each byte a letter and back, so every encoding that has ASCII in it survives.
    text = data.removeprefix(mark).decode("latin-1")
    hosts = find_in_text(text, frozenset(services))
    made: dict[LineRewrite, None] = {}
    line, at = 1, 0
    for host in hosts:
        line, at = line + text.count("\n", at, host.start), host.start
        name = text[host.start : host.end]
        made[LineRewrite(line, name, "" if host.kept else f"{name}.{namespace}", host.kept)] = None
    changed = {it.service for it in made if it.to}
    if not changed:
        return data, tuple(made)
    longer, _ = extend_lists_in(qualify(text, hosts, namespace), changed, namespace)
    return mark + longer.encode("latin-1"), tuple(made)
