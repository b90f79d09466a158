"""What a process on the laptop (`run: host`) has no use for: each key is refused where it stands."""

from __future__ import annotations

from devcluster.config.read.document import Mapping, value_of
from devcluster.config.read.shapes import Choice, Reading

RUN = Choice(("container", "host"))
_ADVICE = {
    "ports": "`port_map` says at which ports of the laptop the pod's connections arrive, and only TCP does",
    "healthcheck": "a process is not asked whether it is well",
    "mounts": "a process sees the laptop's folders as they are",
}


def note_host(workload: Mapping, where: Reading, container_keys: frozenset[str]) -> None:
    """*container_keys*: those that say what a container is."""
    run = value_of(workload, "run")
    if run is None or RUN.read(run, where.apart()) != "host":
        return
    for name, _ in workload.entries:
        if name.text in container_keys:
            why = _ADVICE.get(name.text, "a process of the laptop has no container")
            where.into(name.text).note(name, f"goes with `run: container`: {why}")
