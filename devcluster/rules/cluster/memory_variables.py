"""The container's memory as the application sees it: as if no agent took a share of it.

Kubernetes writes limit and request of memory into variables (``resourceFieldRef``) and into files (a
``downwardAPI`` volume); applications size their heaps by them.  With the share on top (``memory``) an
application that uses all of its limit would use the agent's share too, and be killed.

- The agent corrects such a variable before it starts anything.  Writing the number into the template would be
  simpler, but the API server refuses ``value`` beside ``valueFrom``: each ``kubectl apply`` and ``helm
  upgrade`` would fail as long as the agent is there.
- ``$(NAME)`` of such a variable, in other variables and in the command, is expanded by kubelet before anybody
  else can.  There the template gets the number itself, and loses it again with the agent.
- Files are corrected in the laptop's copies only.

Source: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import copy
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.rules.cluster.memory import Admitted, given_memory, raise_memory
from devcluster.rules.quantity import parse_quantity
from devcluster.rules.volume.volumes import PodVolume

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """*name* (of a variable, or a file's path in its volume) says ``raised`` with the agent's share and
    ``plain`` without."""

    name: str
    raised: str
    plain: str


def variable_figures(container: Json, admitted: Admitted | None) -> tuple[Figure, ...]:
    """The figures of *container*, as it was before the agent."""
    env = container.get("env") or []
    fields = ((one["name"], (one.get("valueFrom") or {}).get("resourceFieldRef")) for one in env)
    return tuple(_figures(container, admitted, fields))


def mount_figures(
    container: Json, pod_spec: Json, mount: PodVolume, admitted: Admitted | None
) -> tuple[Figure, ...]:
    """The files below *mount*, by their paths there.  *pod_spec*: as it was before the agent."""
    volume: Json = next((one for one in pod_spec.get("volumes") or [] if one["name"] == mount.name), {})
    sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
    items = [item for source in sources for item in (source.get("downwardAPI") or {}).get("items") or []]
    fields = ((_below(item["path"], mount), item.get("resourceFieldRef")) for item in items)
    return tuple(_figures(container, admitted, fields, named=True))


def _below(path: str, mount: PodVolume) -> str:
    """'' for what the mount does not show."""
    part = mount.sub_path.strip("/")
    if path == part:
        return posixpath.basename(mount.mount_path)
    if part and not path.startswith(f"{part}/"):
        return ""
    return path.removeprefix(f"{part}/")


def _figures(
    container: Json, admitted: Admitted | None, fields: Iterator[tuple[str, Json | None]], named: bool = False
) -> Iterator[Figure]:
    """*named*: whether a field must name its container; in a variable it need not."""
    raised = copy.deepcopy(container)
    raise_memory(raised, admitted)
    for name, field in fields:
        whose = (field or {}).get("containerName") or ("" if named else container["name"])
        if not name or field is None or whose != container["name"]:
            continue
        before, after = (_told(one, field, admitted) for one in (container, raised))
        if before is not None and after is not None and before != after:
            yield Figure(name, after, before)


def _told(container: Json, field: Json, admitted: Admitted | None) -> str | None:
    """What kubelet writes; None if it is not about memory, or depends on the node."""
    limits, requests = given_memory(container, admitted)
    kinds = {"limits.memory": (limits,), "requests.memory": (requests, limits)}
    chosen = next((it["memory"] for it in kinds.get(field["resource"], ()) if "memory" in it), None)
    if chosen is None:
        return None
    divisor = parse_quantity(field.get("divisor") or 1) or 1
    return str(-(-parse_quantity(chosen) // divisor))


def write_plain(container: Json, figures: Sequence[Figure]) -> None:
    """The numbers in place of each ``$(NAME)`` in the values and the command of *container*."""
    known: dict[str, str] = {}
    plain = {figure.name: figure.plain for figure in figures}
    env = []
    for one in container.get("env") or []:
        env.append(one | {"value": _expanded(one["value"], known)} if one.get("value") else one)
        known.pop(one["name"], None)
        known |= {one["name"]: plain[one["name"]]} if "valueFrom" in one and one["name"] in plain else {}
    if "env" in container:
        container["env"] = env
    container["command"] = [_expanded(word, known) for word in container["command"]]


def _expanded(text: str, known: dict[str, str]) -> str:
    """``$$`` is a dollar for kubelet, and what follows it no reference."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda found: known.get(found[1] or "", found[0]), text)
