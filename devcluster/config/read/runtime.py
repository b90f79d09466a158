"""What the local container may do and has: Docker's own settings, with Compose's names and forms.

A value that Docker is sure to refuse is refused here: Docker would say so after the roll-out.
"""

from __future__ import annotations

from typing import Any

from devcluster.config.check.problems import one_of
from devcluster.config.read import forms
from devcluster.config.read.document import Item
from devcluster.config.read.env_files import SecurityOptions
from devcluster.config.read.mounts import TMPFS_LIST
from devcluster.config.read.shapes import FLAG, Reading, Schema, text, whole
from devcluster.config.read.structures import Either, Fields, Key, Pairs, Table, many
from devcluster.config.read.values import CPUS, FILLED, LIMIT, SIZE, TEXT

_DEVICE = Either(
    "a path, or {source: …, target: …}",
    scalar=TEXT,
    mapping=Fields(
        (
            Key("source", FILLED, "the device on the machine of the Docker engine", needed=True),
            Key("target", FILLED, "its path in the container; default: the same"),
            Key("permissions", text("letters of rwm", "[rwm]{1,3}"), "r, w and m (make); default: all"),
        ),
        build=forms.build_device,
    ),
)


class _Ulimit:
    """The soft limit can't be above the hard one; -1 is no limit."""

    each = Either(
        "a number, or {soft: …, hard: …}",
        scalar=LIMIT,
        mapping=Fields(
            (
                Key("soft", whole(-1, 1 << 50), "the limit", needed=True),
                Key("hard", whole(-1, 1 << 50), "how far it may be raised", needed=True),
            ),
            build=lambda found: (found["soft"], found["hard"]),
        ),
    )

    def read(self, item: Item, where: Reading) -> Any:
        found = self.each.read(item, where)
        if found and found[1] != -1 and not 0 <= found[0] <= found[1]:
            where.note(item, "expected a soft limit that is not above the hard one")
        return found

    def schema(self) -> Schema:
        return self.each.schema()


_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack"),
)
RUNTIME: tuple[Key, ...] = (
    Key("cap_add", many(TEXT), "capabilities to add"),
    Key("cap_drop", many(TEXT), "capabilities to drop"),
    Key("devices", many(_DEVICE), "devices of the machine of the Docker engine"),
    Key(
        "extra_hosts",
        Pairs(separators="=:", repeated=True, parse=forms.parse_host, value=forms.HOST),
        "names to add to the container's hosts file",
    ),
    Key("init", FLAG, "run a small init as process 1"),
    Key("labels", Pairs(), "labels of the local container"),
    Key("mem_limit", SIZE, "memory of the local container"),
    Key("cpus", CPUS, "processors of the local container"),
    Key("privileged", FLAG, "give the container every right on the machine of the Docker engine"),
    Key("security_opt", SecurityOptions(), "Docker's security options"),
    Key("shm_size", SIZE, "size of /dev/shm"),
    Key("stdin_open", FLAG, "keep the standard input open"),
    Key("sysctls", Pairs(), "kernel settings; those of net. apply to the gateway, too"),
    Key("tmpfs", TMPFS_LIST, "folders in memory"),
    Key("tty", FLAG, "give the container a terminal"),
    Key("ulimits", Table(_Ulimit(), "|".join(_LIMITS), one_of(_LIMITS)), "limits of its processes"),
)
