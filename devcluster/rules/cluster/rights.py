"""The rights that devcluster needs in one namespace, each with its reason and what works without it.

``role`` prints them, ``doctor`` asks for each, and a test compares them with the requests that are really
made.  What is read only for a warning is not among them.

Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jinja2

from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.kinds.table import KINDS, kind_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Right:
    """``kind`` and ``subresource`` as ``edge.kube`` knows them.  ``without``: what works if it is missing.
    ``needed``: `up` and `down` don't work without it."""

    verb: str
    group: str
    resource: str
    why: str
    without: str
    needed: bool = True

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


_ALL = "everything"
_LATER = "changes are seen a second later"  # it is read again and again
_SETS = "devcluster's ReplicaSets and the history's numbers"
_OTHERS = "workloads of other kinds"
_LOOK = "status, logs, exec, env and leave, for what is already attached"


def _rights(group: str, resource: str, *rows: tuple[str, str, str], needed: bool = True) -> tuple[Right, ...]:
    return tuple(Right(verb, group, resource, why, without, needed) for verb, why, without in rows)


def _of_kinds(*, common: bool) -> Iterable[Right]:
    """The rights to workloads themselves; those to kinds that are not *common* are needed only where they are
    used."""
    get, patch = ("list and logs", _LOOK) if common else (_OTHERS, _OTHERS)
    for row in KINDS.values():
        if row.common is not common:
            continue
        yield from _rights(
            "apps",
            row.plural,
            ("get", "read the workload", get),
            ("patch", "install and remove the agent", patch),
            needed=common,
        )
        yield from _rights(
            "apps",
            row.plural,
            ("list", "find the workloads", f"{_ALL}, but list leaves them out; {_LATER}"),
            ("watch", "wait for roll-outs, notice changes of the template", f"{_ALL}; {_LATER}"),
            needed=False,
        )


RIGHTS: tuple[Right, ...] = (
    *_of_kinds(common=True),
    *_rights(
        "apps",
        "replicasets",
        ("list", "know the history, and which pods are the workload's", f"{_LOOK}; down leaves {_SETS}"),
        ("patch", "keep the history as it was", "up and leave; down leaves the history's numbers"),
        ("delete", "leave no trace in the history", f"up and leave; down leaves {_SETS}"),
    ),
    *_of_kinds(common=False),
    *_rights(
        "apps",
        "controllerrevisions",
        ("list", "know the history of StatefulSets and DaemonSets", _OTHERS),
        ("patch", "keep the history as it was", _OTHERS),
        ("delete", "leave no trace in the history", _OTHERS),
        ("create", "keep a release that was made meanwhile in the history", _OTHERS),
        needed=False,
    ),
    *_rights(
        "",
        "pods",
        ("list", "find the pods", "list"),
    ),
    *_rights(
        "",
        "pods",
        (
            "delete",
            "replace a pod that its controller does not, or whose original can't start twice",
            f"{_ALL}, where no pod has to be replaced",
        ),
        needed=False,
    ),
    *_rights(
        "",
        "pods",
        ("watch", "follow the pods", f"{_ALL}; {_LATER}"),
        needed=False,
    ),
    *_rights(
        "",
        "pods/log",
        ("get", "say why a pod does not start", f"{_ALL}; without the log of a pod that does not start"),
        needed=False,
    ),
    *_rights(
        "",
        "pods/proxy",
        ("get", "connect to the agents", f"{_ALL}, by pods/portforward, which is slower"),
        needed=False,
    ),
    *_rights(
        "",
        "pods/portforward",
        ("get", "connect to the agents if the pod proxy is closed", f"{_ALL}, if the pod proxy is open"),
        ("create", "the same, from Kubernetes 1.35 on", f"{_ALL}, if the pod proxy is open"),
        needed=False,
    ),
    *_rights(
        "",
        "services",
        (
            "get",
            "read a Service's ports before changing them",
            "workloads whose Services use names of ports",
        ),
        ("list", "find the Services of a workload, and the names to rewrite", "list"),
        (
            "patch",
            "change numeric target ports and back",
            "workloads whose Services use names of ports",
        ),
    ),
    *_rights(
        "",
        "persistentvolumeclaims",
        (
            "list",
            "know which files two pods must not write at once",
            f"{_ALL}; two pods may write to a ReadWriteOnce claim during a roll-out",
        ),
        needed=False,
    ),
    *_rights(
        "networking.k8s.io",
        "networkpolicies",
        (
            "list",
            "know at which port of a pod policies let connections in",
            f"{_ALL}; a policy that says the port's number may shut connections out",
        ),
        needed=False,
    ),
    *_rights(
        "",
        "services",
        ("watch", "notice when somebody changes a Service back", f"{_ALL}; {_LATER}"),
        needed=False,
    ),
    *_rights(
        "",
        "secrets",
        ("get", "read the keys, and who holds the workload", "list and config"),
        ("create", "store the original state", _LOOK),
        ("patch", "record who holds the workload", f"{_LOOK}; whoever left is still named as the holder"),
        ("delete", "clean up", "up and leave; down leaves the Secret"),
    ),
    *_rights(
        "",
        "secrets",
        ("list", "find what is installed", f"{_ALL}, if configmaps can be listed"),
        needed=False,
    ),
    *_rights(
        "",
        "configmaps",
        ("get", "compare the agent with what is installed", _LOOK),
        ("list", "find what is no longer used", "up and leave; down leaves the agent's ConfigMaps"),
        ("create", "store the agent's program", _LOOK),
        ("patch", "share the agent with other workloads", "one workload at a time in the namespace"),
        ("delete", "clean up", "up and leave; down leaves the agent's ConfigMaps"),
    ),
)


_WORKLOAD, _SECRET, _ANY = "workload", "secret", ""
_UP = {  # what `up` uses each time before traffic flows, and of which object
    "list pods": _ANY,
    "list services": _ANY,
    "get secrets": _SECRET,
    "create secrets": _ANY,
    "patch secrets": _SECRET,
    "get configmaps": _ANY,
    "create configmaps": _ANY,
}


@dataclass(frozen=True, slots=True)
class RequiredRight:
    """A right, and the only object of the kind for which it is wanted ('' for all)."""

    right: Right
    name: str = ""


def required_for_up(ref: WorkloadRef, secret: str, services: Iterable[str]) -> tuple[RequiredRight, ...]:
    """Without one of them ``up`` would stop half-way.  *services*: those that it patches."""
    names, row = {_WORKLOAD: ref.name, _SECRET: secret, _ANY: ""}, kind_of(ref)
    uses = _UP | {f"{verb} {row.plural}": _WORKLOAD for verb in ("get", "patch")}
    uses |= {f"list {row.history.resource}s": _ANY}
    found = [RequiredRight(right, names[uses[str(right)]]) for right in RIGHTS if str(right) in uses]
    patching = [right for right in RIGHTS if str(right) in ("get services", "patch services")]
    return (*found, *(RequiredRight(right, name) for name in services for right in patching))


def lanes() -> tuple[RequiredRight, ...]:
    """One of them is enough."""
    return tuple(
        RequiredRight(right) for right in RIGHTS if str(right) in ("get pods/proxy", "get pods/portforward")
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of a Role, with a comment for each verb."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: tuple[str, ...]


def rules_of(rights: Iterable[Right] = RIGHTS) -> tuple[Rule, ...]:
    """A rule for each resource, in the order of *rights*."""
    grouped: dict[tuple[str, str], list[Right]] = {}
    for right in rights:
        grouped.setdefault((right.group, right.resource), []).append(right)
    return tuple(
        Rule(
            group,
            resource,
            tuple(one.verb for one in found),
            tuple(f"{one.verb}: {one.why}" for one in found),
        )
        for (group, resource), found in grouped.items()
    )


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a RoleBinding means.  ``kind``: User, Group or ServiceAccount, which alone has a ``namespace``."""

    kind: str
    name: str
    namespace: str = ""


def render_role(template: str, namespace: str, subject: Subject) -> str:
    """Role and RoleBinding as yaml with a comment for each verb; *template* is jinja2's."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - yaml
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.from_string(template)
    return text.render(namespace=namespace, subject=subject, rules=rules_of(RIGHTS)) + "\n"
