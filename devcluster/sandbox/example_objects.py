"""The examples: what each is made of, and its manifests, from templates and values to marked objects.

Rules:
- every object carries the label PART_OF with the example's name, so that ``down`` knows what it made, and
  CONTENT, a digest of what was asked for: where it is the same in the cluster, nothing is written.  (Labels,
  because a Deployment's annotations are copied into its history.)
- what holds state of its own (Secrets, claims, the namespace) is made once and never changed: a new
  password would not be the database's.

The naive way, to patch every object at every ``up``, would undo what somebody else did to it meanwhile:
for example take the agent out of a workload that is being worked on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2
import yaml

from devcluster.rules.cluster.template import is_wrapped

Json = dict[str, Any]

PART_OF = "app.kubernetes.io/part-of"
CONTENT = "devcluster.example/content"
BLOG_NAME = "User's Blog!"
MADE_ONCE = frozenset(("Namespace", "Secret", "PersistentVolumeClaim"))
_NO_IMAGE = frozenset(("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"))


@dataclass(frozen=True, slots=True)
class Example:
    """An application to try devcluster with; its sources are in ``examples/NAME``.

    ``namespace``: where it goes unless another one is named.  ``images``: a build folder each.
    ``templates``: in ``manifests``, in the order of creation.  ``workloads``: KIND/NAME, all awaited.
    ``pods``: their selector.  ``page``: NAME:PORT of the Service that must answer GET /, with
    ``page_text`` in the answer.
    """

    name: str
    title: str
    namespace: str
    images: tuple[str, ...]
    templates: tuple[str, ...]
    workloads: tuple[str, ...]
    pods: str
    page: str
    page_text: str

    @property
    def part_of(self) -> str:
        """The value of PART_OF."""
        return f"devcluster-example-{self.name}"


WORDPRESS = Example(
    name="wordpress",
    title="WordPress",
    namespace="wordpress",
    images=("wordpress", "mariadb"),
    templates=("namespace.yaml.j2", "mariadb.yaml.j2", "wordpress.yaml.j2"),
    workloads=("statefulset/wordpress-mariadb", "deployment/wordpress"),
    pods="app.kubernetes.io/instance=wordpress,app.kubernetes.io/name in (wordpress,mariadb)",
    page="wordpress:http",
    page_text=f"<title>{BLOG_NAME}</title>",
)
HELLO = Example(
    name="hello",
    title="hello",
    namespace="default",
    images=("hello",),
    templates=("namespace.yaml.j2", "hello.yaml.j2"),
    workloads=("deployment/hello",),
    pods="app=hello",
    page="hello:80",
    page_text="",  # who is attached answers something else
)
EXAMPLES = {example.name: example for example in (WORDPRESS, HELLO)}


@dataclass(frozen=True, slots=True)
class ExampleValues:
    """What varies: the templates' variables, ``images`` as ``NAME_image``.  ``passwords`` matter only where
    their Secrets don't exist yet."""

    namespace: str
    images: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)


def render_example(example: Example, templates: Iterable[str], values: ExampleValues) -> tuple[Json, ...]:
    """The objects of *templates* (texts of jinja2 and yaml), in their order, in the values' namespace."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - yaml
    images = {f"{name}_image": image for name, image in values.images.items()}
    context = {"namespace": values.namespace, **images, **values.texts, **values.passwords}
    texts = [environment.from_string(text).render(context) for text in templates]
    return tuple(
        _marked(example, document, values.namespace)
        for text in texts
        for document in yaml.safe_load_all(text)
        if document
    )


def _marked(example: Example, document: Json, namespace: str) -> Json:
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]
    metadata = dict(document["metadata"])
    if document["kind"] != "Namespace":
        metadata["namespace"] = namespace
    labels = {PART_OF: example.part_of}
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


def is_ours(example: Example, found: Json) -> bool:
    """Whether *example* made it."""
    return bool(found["metadata"].get("labels", {}).get(PART_OF) == example.part_of)


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
