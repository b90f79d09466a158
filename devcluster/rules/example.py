"""The example's manifests: templates and values in, objects out, each marked with its own content.

Rules:
- every object carries the label PART_OF, so that ``down`` knows what the example made, and CONTENT, a digest
  of what was asked for: where it is the same in the cluster, nothing is written.  (Labels, because a
  Deployment's annotations are copied into its history.)
- what holds state of its own (Secrets, claims, the namespace) is made once and never changed: a new
  password would not be the database's.

The naive way, to patch every object at every ``up``, would undo what somebody else did to it meanwhile:
for example take the agent out of a workload that is being worked on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jinja2
import yaml

from devcluster.rules.cluster.template import is_wrapped

Json = dict[str, Any]

PART_OF = ("app.kubernetes.io/part-of", "devcluster-example-wordpress")
CONTENT = "devcluster.example/content"
BLOG_NAME = "User's Blog!"
MADE_ONCE = frozenset(("Namespace", "Secret", "PersistentVolumeClaim"))
_NO_IMAGE = frozenset(("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"))


@dataclass(frozen=True, slots=True)
class ExampleValues:
    """What varies.  The three passwords matter only where their Secrets don't exist yet."""

    namespace: str
    wordpress_image: str
    mariadb_image: str
    my_cnf: str
    wordpress_password: str = field(repr=False)
    mariadb_password: str = field(repr=False)
    mariadb_root_password: str = field(repr=False)
    blog_name: str = BLOG_NAME


def render_example(templates: Iterable[str], values: ExampleValues) -> tuple[Json, ...]:
    """The objects of *templates* (texts of jinja2 and yaml), in their order, in the values' namespace."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - yaml
    context = {name: getattr(values, name) for name in ExampleValues.__dataclass_fields__}
    texts = [environment.from_string(text).render(context) for text in templates]
    return tuple(
        _marked(document, values.namespace)
        for text in texts
        for document in yaml.safe_load_all(text)
        if document
    )


def _marked(document: Json, namespace: str) -> Json:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
    metadata = dict(document["metadata"])
    if document["kind"] != "Namespace":
        metadata["namespace"] = namespace
    labels = {PART_OF[0]: PART_OF[1]}
    if document["kind"] not in MADE_ONCE:  # no trace of a Secret's content
        labels[CONTENT] = digest
    metadata["labels"] = metadata.get("labels", {}) | labels
    return document | {"metadata": metadata}


def outcome_of(wanted: Json, found: Json | None) -> str:
    """``created``, ``changed``, ``unchanged``: what is to be done to have *wanted*; ``held``: it would be
    changed, but devcluster's agent is in it, and a patch would take it out of somebody's hands."""
    if found is None:
        return "created"
    if wanted["kind"] in MADE_ONCE:
        return "unchanged"
    if found["metadata"].get("labels", {}).get(CONTENT) == wanted["metadata"]["labels"][CONTENT]:
        return "unchanged"
    template = found["spec"].get("template") if "spec" in found else None
    return "held" if template and is_wrapped(template) else "changed"


def is_ours(found: Json) -> bool:
    """Whether the example made it."""
    return bool(found["metadata"].get("labels", {}).get(PART_OF[0]) == PART_OF[1])


def image_trouble(pods: Iterable[Json]) -> tuple[str, str] | None:
    """An image that a node can't get: (image, the node's reason); None where all goes well."""
    for pod in pods:
        status = pod.get("status", {})
        for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in _NO_IMAGE:
                return str(container["image"]), str(waiting.get("message") or waiting["reason"])
    return None


def describe_pods(pods: Iterable[Json]) -> str:
    """One line for a person: each pod and what it is doing."""
    return ", ".join(f"{pod['metadata']['name']} {_state(pod)}" for pod in pods) or "no pods yet"


def is_rolled_out(workload: Json) -> bool:
    """Whether its controller has seen the newest spec, and every pod is of it and ready."""
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
        and status.get("replicas", 0) == wanted
        and status.get("updatedReplicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
    )


def _state(pod: Json) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "ending"
    status = pod.get("status", {})
    if any(it["type"] == "Ready" and it["status"] == "True" for it in status.get("conditions", ())):
        return "ready"
    for container in [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]:
        waiting = container.get("state", {}).get("waiting") or {}
        if waiting.get("reason", "PodInitializing") not in ("PodInitializing", "ContainerCreating"):
            return str(waiting["reason"])
    return "starting" if status.get("phase") == "Running" else str(status.get("phase", "Pending")).lower()
