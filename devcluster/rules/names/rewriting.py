"""Short Service names in the files of a private copy, as in the environment: only where one is a host.

A file gives no variable's name, so a line has to say it (``key_values``): ``define( 'DB_HOST', 'db' );``
does, ``define( 'DB_NAME', 'db' );`` stays.  What keeps a name in a variable keeps it here, too.

Bytes are kept: encoding, line ends, a missing last newline.  What holds a NUL or is larger than 1 MiB is
no configuration and is left alone.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from devcluster.rules.names.hosts import qualify
from devcluster.rules.names.key_values import find_in_text
from devcluster.rules.names.proxies import extend_lists_in

LARGEST = 1 << 20
RULES = 4
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


def restore_text(
    local: bytes, pod: bytes, *, services: Collection[str], namespace: str, force: bool = False
) -> bytes | None:
    """What the pod's file must be for the laptop's to be *local*: the inverse of ``rewrite_text``.  *pod* is
    what it is now.  None where that is not certain; *force* gives the likeliest then.

    A line that nobody touched is the pod's own.  In the others a qualified name becomes short again, unless
    the pod's file has it qualified itself, or rewriting would not make it long.  It is certain where
    rewriting what comes of that gives *local*.
    """
    if len(local) > LARGEST or b"\0" in local:
        return local

    def rewritten(data: bytes) -> list[bytes]:
        return rewrite_text(data, services=services, namespace=namespace)[0].split(b"\n")

    names = [name.encode() for name in services]
    pattern = _qualified([name for name in names if not _qualified([name], namespace).search(pod)], namespace)
    now, wanted = local.split(b"\n"), rewritten(local)
    kept = _untouched(pod.split(b"\n"), rewritten(pod), now)
    likely = [kept.get(at, pattern.sub(rb"\1", line)) for at, line in enumerate(now)]
    again = rewritten(b"\n".join(likely))
    lines = [kept.get(at, likely[at] if again[at] == wanted[at] else line) for at, line in enumerate(now)]
    if rewritten(b"\n".join(lines)) == wanted:
        return b"\n".join(lines)
    return b"\n".join(likely) if force else None


def _qualified(names: Collection[bytes], namespace: str) -> re.Pattern[bytes]:
    any_of = b"|".join(map(re.escape, names)) or b"(?!)"
    return re.compile(rb"(?<![\w.-])(" + any_of + rb")\." + re.escape(namespace.encode()) + rb"(?![\w.-])")


def _untouched(pod: Sequence[bytes], shown: Sequence[bytes], now: Sequence[bytes]) -> dict[int, bytes]:
    """By the number of a line *now*: the pod's own, where it is what was *shown* of that."""
    blocks = SequenceMatcher(None, shown, now, autojunk=False).get_matching_blocks()
    return {block.b + at: pod[block.a + at] for block in blocks for at in range(block.size)}
