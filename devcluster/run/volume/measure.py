"""What becomes of a workload's volumes, and how much that is, before anything is copied.

A pod that has an agent already tells what it mounts and how large that is; of others only the spec is known.
So a limit that is exceeded is an error before a roll-out, wherever a running pod can tell.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster.deadline import Deadline
from devcluster.edge.agent.ssh import AgentLink, UnreadableError
from devcluster.edge.background import together
from devcluster.edge.kube.cluster import Cluster
from devcluster.edge.lines import RefusedError
from devcluster.errors import ClusterError
from devcluster.rules.volume.tree import parse_left_out, parse_tree, tree_size
from devcluster.rules.volume.volumes import VolumePlan, labelled, nested
from devcluster.run.volume.copies import file_of, read_plans
from devcluster.run.volume.private_copy import CopySpec, TooLargeError, check_volume, render_amount
from devcluster.run.volume.single_file import SingleSource
from devcluster.run.wanted.installed_agent import open_installed
from devcluster.run.wanted.wanted import Wanted

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """``files``, ``bytes``: None where nobody has looked; ``left_out``: names and reasons."""

    label: str
    path: str
    fate: str
    files: int | None = None
    bytes: int | None = None
    left_out: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        text = f"volume {self.label} ({self.path}): {self.fate}"
        if self.files is not None and self.bytes is not None:
            text += f", {render_amount(self.bytes, self.files)}"
        named = ", ".join(f"{name} ({why})" for name, why in self.left_out)
        return f"{text}, without {named}" if named else text

    def row(self) -> Json:
        """As ``plan -o json`` has it."""
        left_out = [{"path": name, "reason": why} for name, why in self.left_out]
        numbers = {"files": self.files, "bytes": self.bytes}
        return {"name": self.label, "path": self.path, "fate": self.fate} | numbers | {"left_out": left_out}


async def measure(cluster: Cluster, wanted: Wanted, deadline: Deadline) -> tuple[Measured, ...]:
    """Each volume.  ConfigurationError where one is larger than its limit, or can't be had though the file
    asks for it."""
    with contextlib.suppress(ClusterError, RefusedError, OSError, TimeoutError):  # then `up` will say why
        async with open_installed(cluster, wanted.object, deadline) as link:
            if link is not None:
                plans = await read_plans(cluster, wanted, link)
                looks = (_look(link, plan, label, plans) for plan, label in labelled(plans))
                return tuple(await together(*looks, name="measure"))
    return tuple(Measured(label, it.volume.mount_path, it.fate) for it, label in labelled(wanted.volumes))


async def _look(link: AgentLink, plan: VolumePlan, label: str, plans: tuple[VolumePlan, ...]) -> Measured:
    path, file = plan.volume.mount_path, file_of(plan)
    known = Measured(label, path, plan.fate)
    if plan.mode not in ("copy", "sync"):
        return known
    spec = CopySpec(path, Path(), label, (*plan.exclude, *nested(plan, plans)), plan.limit)
    try:
        lines = await (SingleSource(link, file) if file else link).scan(path, spec.exclude)
        check_volume(spec, lines)
    except UnreadableError as error:
        return Measured(label, path, f"left out ({error.reason})")
    except TooLargeError as error:
        if plan.written or plan.volume.kind != "hostpath":
            raise
        return Measured(label, path, f"left out ({error.message})")
    size, files = tree_size(parse_tree(lines))
    return Measured(label, path, plan.fate, files, size, tuple(sorted(parse_left_out(lines).items())))
