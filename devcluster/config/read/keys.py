"""Every key of the file: its shape and its meaning.  The parser, the JSON Schema and a test of the reference
read this.  ``Later`` marks a key that is not built yet: it is checked, then refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from devcluster.config.check import compose, manifest
from devcluster.config.check.across_workloads import Workloads
from devcluster.config.model import Agent
from devcluster.config.read.document import Item, Mapping
from devcluster.config.read.env_files import EnvFiles
from devcluster.config.read.modes import MODE, RUN, TAKE, note_host, note_modes
from devcluster.config.read.mounts import MOUNTS, note_mounts
from devcluster.config.read.published import Ports, TunnelList
from devcluster.config.read.runtime import RUNTIME
from devcluster.config.read.shapes import FLAG, Choice, Reading, Schema, text, whole
from devcluster.config.read.structures import (
    Anything,
    Either,
    Fields,
    Key,
    Later,
    Pairs,
    Table,
    Words,
    many,
)
from devcluster.config.read.values import (
    DURATION,
    EXPORT,
    FILLED,
    LEASE,
    LOCAL,
    NAMESPACE,
    PORT,
    TARGET,
    TEXT,
)
from devcluster.config.read.volumes import Volumes

TEXTS = many(TEXT)
LINES = many(TEXT, alone=True)


AGENT = Fields(
    (
        Key("port", PORT, "the one port on which the agent listens in the pod"),
        Key("fronts", PORT, "where the ports begin by which Services' connections enter the agent"),
        Key(
            "lease",
            LEASE,
            "silence after which the original serves again",
        ),
        Key("delivery", Choice(("memfd", "emptydir")), "how the agent's program reaches the container"),
    ),
    build=lambda found: Agent(**found),
    empty=True,
)

NETWORK = Fields(
    (
        Key(
            "local",
            many(LOCAL),
            "names and networks to reach from the laptop instead of from the pod",
        ),
    ),
    empty=True,
)


ENV = Fields(
    (
        Key("include", Later(LINES), "patterns: take only these variables from the pod"),
        Key("exclude", LINES, "patterns: remove these variables"),
        Key("export", EXPORT, "write the environment to this file; its ending says the format"),
    ),
    empty=True,
)
SERVICE = text("a Service's name", r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_WHICH = "true, false or a list of variables"
REWRITE = Fields(
    (
        Key(
            "environment",
            Either(_WHICH, scalar=replace(FLAG, expected=_WHICH), items=TEXTS),
            "whether, or in which variables, short names become name.namespace",
        ),
        Key("services", many(SERVICE), "which Services; default: all of the namespace"),
    ),
    empty=True,
)
PULL_POLICY = Choice(
    ("always", "missing", "never"),
    later=("build", "daily", "weekly"),
    also=(("if_not_present", "missing"),),
)
_TESTS = ("NONE", "CMD", "CMD-SHELL")


class _Healthcheck:
    """``from-pod``, ``off``, or Compose's block."""

    word = Choice(("from-pod", "off"))
    block = Fields(
        (
            Key("test", Either("a line or a list", scalar=TEXT, items=TEXTS), "the command"),
            Key("interval", DURATION, "the time between two runs"),
            Key("timeout", DURATION, "how long one run may take"),
            Key("retries", whole(0, 10000), "failures in a row until unhealthy"),
            Key("start_period", DURATION, "the time at first in which failures don't count"),
            Key("start_interval", DURATION, "the interval during start_period (Docker 25)"),
            Key("disable", FLAG, "true: the same as off"),
        )
    )

    def read(self, item: Item, where: Reading) -> Any:
        if not isinstance(item, Mapping):
            return self.word.read(item, where)
        before = len(where.problems)
        found = self.block.read(item, where)
        if len(where.problems) > before:
            return None
        test = found.get("test")
        if isinstance(test, tuple) and (not test or test[0] not in _TESTS):
            where.into("test").note(item, "expected a list that begins with CMD, CMD-SHELL or NONE")
        elif test is None and not found.get("disable"):
            where.note(item, "test is missing: a pod does not use the image's own healthcheck")
        return found

    def schema(self) -> Schema:
        test = {
            "required": ["test"],
            "properties": {"test": {"prefixItems": [{"enum": list(_TESTS)}], "minItems": 1}},
        }
        off = {"required": ["disable"], "properties": {"disable": {"enum": [True, "true", "yes", "on"]}}}
        return {"anyOf": [self.word.schema(), self.block.schema() | {"anyOf": [test, off]}]}


_CONTAINER_KEYS = frozenset(
    (
        *("image", "build", "pull_policy", "platform", "entrypoint", "command", "working_dir", "user"),
        *("mounts", "ports", "healthcheck", *(key.name for key in RUNTIME)),
    )
)


def _note_together(workload: Mapping, where: Reading) -> None:
    note_mounts(workload, where)
    note_modes(workload, where)
    note_host(workload, where, _CONTAINER_KEYS)


_NUMBER = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_NAME = "(?=.*[a-z])[a-z0-9-]{1,15}"
WORKLOAD = Fields(
    (
        Key("target", TARGET, "kind/name/container in the cluster; default: the local name"),
        Key("mode", MODE, "what happens to the original"),
        Key("take", TAKE, "how connections reach the agent"),
        Key(
            "order",
            Choice(("start-first", "stop-first")),
            "whether the local container starts before or after the original stops",
        ),
        Key("services", many(SERVICE), "intercept only these Services; default: every one that can be led"),
        Key(
            "port_map",
            Table(PORT, rf"{_NUMBER}|{_NAME}|.*\$.*", "a port of the pod, by number or name"),
            "pod port to local port",
        ),
        Key("run", RUN, "a container, or a process on the laptop that you start"),
        Key("image", FILLED, "default: the pod's"),
        Key(
            "build",
            Later(Either("a path or a map", scalar=FILLED, mapping=Table(Anything()))),
            "as in Compose",
        ),
        Key("pull_policy", PULL_POLICY, "when the image is pulled"),
        Key("platform", Later(FILLED), "as in Compose"),
        Key("pod_command", Words(), "the pod's command, if its image can't be read"),
        Key("entrypoint", Words(), "default: the pod's, then the image's"),
        Key("command", Words(), "default: the pod's, then the image's"),
        Key("working_dir", text("an absolute path in the container", "/.*"), "default: the pod's"),
        Key("user", FILLED, "default: the pod's"),
        Key(
            "ports",
            Ports(),
            "published on the laptop, beside each port of the container; [] publishes none",
        ),
        Key("environment", Pairs(bare=True), "over the pod's; without a value: the shell's"),
        Key("env_file", EnvFiles(), "files of variables, over the pod's"),
        Key("env", ENV, "which of the pod's variables to take"),
        Key("rewrite", REWRITE, "whether to change short names of Services to name.namespace"),
        Key("volumes", Volumes(), "settings of the pod's volumes, by name or mount path"),
        Key(
            "mounts",
            MOUNTS,
            "folders of the laptop to mount in the container: Compose's binds",
        ),
        Key("healthcheck", _Healthcheck(), "how to check that the container is healthy"),
        Key("restart", Later(Anything()), "as in Compose"),
        Key("depends_on", Later(Anything()), "as in Compose"),
        Key("profiles", Later(Anything()), "as in Compose"),
        Key("develop", Later(Anything()), "as in Compose"),
        Key("extends", Later(Anything()), "as in Compose"),
        *RUNTIME,
    ),
    empty=True,
    check=_note_together,
    elsewhere=manifest.WORKLOAD | compose.WORKLOAD,
)

LOCAL_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
PROJECT = Fields(
    (
        Key("name", text("lower case letters, digits, - and _", r"[a-z0-9][a-z0-9_-]{0,62}"), "the project"),
        Key("context", FILLED, "a context of the kubeconfig; default: the current one"),
        Key("namespace", NAMESPACE, "default: the context's"),
        Key("agent", AGENT, "the agent in the pod"),
        Key("network", NETWORK, "what does not go through the pod"),
        Key(
            "tunnels",
            TunnelList(),
            "cluster addresses on the laptop's 127.0.0.1, by the first workload's pod: [PORT:]HOST:PORT",
        ),
        Key(
            "workloads",
            Workloads(Table(WORKLOAD, LOCAL_NAME, "a name of letters, digits, . _ and -", filled=True)),
            "local names and their settings",
            needed=True,
            unless=("services", "spec"),
        ),
    ),
    elsewhere=manifest.PROJECT | compose.PROJECT,
)
