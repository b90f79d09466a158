"""Which of a workload's keys go with which mode, and which with a process on the laptop (`run: host`).

Each problem is reported at the key that does not fit.
"""

from __future__ import annotations

from typing import get_args

from devcluster.config.model import Mode, Run, Take
from devcluster.config.read.document import Mapping, value_of
from devcluster.config.read.shapes import Choice, Reading

MODE = Choice(get_args(Mode))
TAKE = Choice(get_args(Take))
RUN = Choice(get_args(Run))
_ADVICE = {
    "ports": "`port_map` says at which ports of the laptop the pod's connections arrive, and only TCP does",
    "healthcheck": "a process is not asked whether it is well",
    "mounts": "a process sees the laptop's folders as they are",
}


def allows_take(mode: Mode, take: Take) -> bool:
    """`take: direct` needs the original's own ports, so it needs the original stopped."""
    return take == "front" or mode != "intercept"


def allows_services(mode: Mode) -> bool:
    """`services` leaves some Services to the original, so it needs the original running."""
    return mode == "intercept"


def note_modes(workload: Mapping, where: Reading) -> None:
    """`take: direct` needs the original stopped; `services` needs it running."""
    written = value_of(workload, "mode")
    mode: Mode | None = "replace" if written is None else MODE.read(written, where.into("mode").apart())
    if mode is None:
        return
    take = value_of(workload, "take")
    if take is not None and not allows_take(mode, TAKE.read(take, where.apart()) or "front"):
        where.into("take").note(
            take, "direct needs an original that is stopped, and `mode: intercept` lets it run: leave it out"
        )
    services = value_of(workload, "services")
    if services is not None and not allows_services(mode):
        why = "nobody else can answer" if mode == "replace" else "no traffic comes to the laptop"
        where.into("services").note(services, f"goes with `mode: intercept`; with {mode} {why}")


def note_host(workload: Mapping, where: Reading, container_keys: frozenset[str]) -> None:
    """*container_keys*: those that say what a container is."""
    run = value_of(workload, "run")
    if run is None or RUN.read(run, where.apart()) != "host":
        return
    for name, _ in workload.entries:
        if name.text in container_keys:
            why = _ADVICE.get(name.text, "a process of the laptop has no container")
            where.into(name.text).note(name, f"goes with `run: container`: {why}")
