"""Which machine the agent's binary must be for: the nodes', not the laptop's.

The pod's own spec counts first; then the nodes, if they may be read; then the image that this laptop has,
because a Role in one namespace can't read nodes.  If the nodes differ, the pods are pinned to the
architecture that they run on now, because a binary is for one only.

The naive way, the laptop's own architecture, fails wherever laptop and cluster differ.

Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-arch
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.errors import ConfigurationError

Json = dict[str, Any]

ARCH = "kubernetes.io/arch"
_DEFAULT = "amd64"
SHIPPED = ("amd64", "arm64")


@dataclass(frozen=True, slots=True)
class Machine:
    """``pin``: the architecture that the pods must be scheduled to, or None if they can't run elsewhere;
    ``source``: where that was read, for people.  ``doubt``: what may be wrong with the choice and what to do;
    '' for nothing."""

    architecture: str
    pin: str | None
    source: str
    doubt: str = ""


def choose_machine(
    spec: Json, *, nodes: Mapping[str, str], running: Sequence[str], image: str, shipped: Collection[str]
) -> Machine:
    """*nodes*: architecture by name, {} where they can't be read; *running*: nodes of the pods; *image*:
    architecture of the laptop's copy, or ''.  ConfigurationError where there is no agent for it."""
    found = _choose(spec, nodes, running, image)
    if found.architecture not in shipped:
        raise ConfigurationError(
            f"the pods run on {found.architecture} ({found.source}), but there is no agent for it",
            hint=f"there is one for {' and '.join(sorted(shipped))}",
        )
    return found


def _choose(spec: Json, nodes: Mapping[str, str], running: Sequence[str], image: str) -> Machine:
    said = spec_architecture(spec)
    if said:
        return Machine(said, None, "the pod's spec says so")
    seen = Counter(nodes[name] for name in sorted(running) if name in nodes) or Counter(nodes.values())
    if seen:
        architecture = max(sorted(seen), key=lambda name: seen[name])
        several = len(set(nodes.values())) > 1
        return Machine(architecture, architecture if several else None, "its node says so")
    architecture = image or _DEFAULT
    return Machine(architecture, None, "its image says so", render_doubt(architecture))


def render_doubt(architecture: str) -> str:
    """For a pod that ends at once, whose node could not be read."""
    return (
        f"the agent is for {architecture}, since the nodes can't be read; if the pod's node is another "
        f"machine, name it in the pod's nodeSelector ({ARCH})"
    )


def spec_architecture(spec: Json) -> str:
    """The only architecture that node selector and required affinity allow; '' if they allow several."""
    selected = (spec.get("nodeSelector") or {}).get(ARCH)
    if selected:
        return str(selected)
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
    allowed = [_allowed(term) for term in terms or []]  # alternatives
    names = {name for one in allowed for name in one}
    return names.pop() if allowed and all(allowed) and len(names) == 1 else ""


def _allowed(term: Json) -> set[str]:
    wishes = [
        set(one.get("values") or [])
        for one in term.get("matchExpressions") or []
        if one["key"] == ARCH and one["operator"] == "In"
    ]
    return set.intersection(*wishes) if wishes else set()
