"""Whose pods a Service may send to, besides the workload's own.

A Service whose number is changed to the agent's front sends every pod that it selects there, and pods without
an agent refuse.  So all other pods have to be known.  There are two sources: the pods that exist, whoever
made them (a StatefulSet, a Job, an unknown controller, a person), and the templates of workloads that have no
pod now, as far as they may be read.

Templates alone are not enough: a kind that the Role hides looks absent.  Labels don't make a pod ours either,
since two workloads may select the same; its chain of owners does.  A pod whose labels were removed has lost
its owner, too.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from devcluster.rules.kinds.pods import ends
from devcluster.rules.kinds.table import KINDS

Json = dict[str, Any]

TEMPLATED = (*KINDS, "replicaset", "job", "cronjob")
_SPOKEN_FOR = (*(row.title for row in KINDS.values()), "CronJob")  # who made it has a template of its own


def other_labels(uid: str, pods: Iterable[Json], workloads: Iterable[Json]) -> tuple[Mapping[str, str], ...]:
    """The labels of pods that don't belong to the workload *uid*, each set once.

    *pods*: of the namespace, their metadata at least, without those that have ended; *workloads*: whatever of
    TEMPLATED could be read, after *pods*; the workload's own ReplicaSets are among them.
    """
    made = tuple(workloads)
    own = {uid} | {_uid(item) for item in made if _controller(item).get("uid") == uid}
    found = [pod for pod in pods if _controller(pod).get("uid") not in own and not ends(pod)]
    found += [_template(item) for item in made if _uid(item) not in own and _may_start(item)]
    labels = [(one.get("metadata") or {}).get("labels") or {} for one in found]
    return tuple({tuple(sorted(one.items())): one for one in labels}.values())


def _uid(item: Json) -> str:
    return str(item["metadata"]["uid"])


def _controller(item: Json) -> Json:
    """The reference to its controller; {} if it has none."""
    owners: list[Json] = item["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def _may_start(item: Json) -> bool:
    """Whether it may make a pod that no other template announces."""
    conditions = (item.get("status") or {}).get("conditions") or []
    over = any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)
    return _controller(item).get("kind") not in _SPOKEN_FOR and not (item["kind"] == "Job" and over)


def _template(item: Json) -> Json:
    spec = item["spec"]
    found: Json = spec["jobTemplate"]["spec"]["template"] if "jobTemplate" in spec else spec["template"]
    return found
