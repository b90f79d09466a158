"""Where the API server keeps each kind, and what a message calls it.

Only what devcluster uses is listed.  The naive way, discovery, costs a request for each API group, and rights
that a Role in one namespace need not include.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from devcluster.rules.kinds.table import KINDS


@dataclass(frozen=True, slots=True)
class Resource:
    """``prefix``: ``/api/v1`` or ``/apis/GROUP/VERSION``; ``plural`` as in a Role."""

    prefix: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        return self.prefix.split("/")[2] if self.prefix.startswith("/apis/") else ""

    @property
    def api_version(self) -> str:
        return self.prefix.removeprefix("/apis/").removeprefix("/api/")


RESOURCES = {row.name: Resource(row.prefix, row.plural, row.title) for row in KINDS.values()} | {
    "pod": Resource("/api/v1", "pods", "Pod"),
    "service": Resource("/api/v1", "services", "Service"),
    "secret": Resource("/api/v1", "secrets", "Secret"),
    "configmap": Resource("/api/v1", "configmaps", "ConfigMap"),
    "event": Resource("/api/v1", "events", "Event"),
    "serviceaccount": Resource("/api/v1", "serviceaccounts", "ServiceAccount"),
    "persistentvolumeclaim": Resource("/api/v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    "namespace": Resource("/api/v1", "namespaces", "Namespace", namespaced=False),
    "node": Resource("/api/v1", "nodes", "Node", namespaced=False),
    "replicaset": Resource("/apis/apps/v1", "replicasets", "ReplicaSet"),
    "controllerrevision": Resource("/apis/apps/v1", "controllerrevisions", "ControllerRevision"),
    "replicationcontroller": Resource("/api/v1", "replicationcontrollers", "ReplicationController"),
    "job": Resource("/apis/batch/v1", "jobs", "Job"),
    "cronjob": Resource("/apis/batch/v1", "cronjobs", "CronJob"),
    "horizontalpodautoscaler": Resource(
        "/apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
    ),
    "verticalpodautoscaler": Resource(
        "/apis/autoscaling.k8s.io/v1", "verticalpodautoscalers", "VerticalPodAutoscaler"
    ),
    "scaledobject": Resource("/apis/keda.sh/v1alpha1", "scaledobjects", "ScaledObject"),
    "networkpolicy": Resource("/apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
    "poddisruptionbudget": Resource("/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    "resourcequota": Resource("/api/v1", "resourcequotas", "ResourceQuota"),
    "limitrange": Resource("/api/v1", "limitranges", "LimitRange"),
    "endpointslice": Resource("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    "role": Resource("/apis/rbac.authorization.k8s.io/v1", "roles", "Role"),
    "rolebinding": Resource("/apis/rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"),
    "selfsubjectaccessreview": Resource(
        "/apis/authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False
    ),
}


@dataclass(frozen=True, slots=True)
class ApiPath:
    """One address of the API, with the words that a message or a question for a right needs."""

    path: str
    resource: str
    namespace: str | None
    name: str = ""
    group: str = ""

    def __str__(self) -> str:
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.resource}{'/' if self.name else ''}{self.name}{where}"


def path_of(kind: str, namespace: str | None, name: str = "", subresource: str = "") -> ApiPath:
    """Where *kind* (singular, lower case) lives; *namespace* None: every namespace."""
    resource = RESOURCES[kind]
    parts = [resource.prefix]
    if resource.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    parts += [quote(name, safe="")] if name else []
    parts += [subresource] if subresource else []
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    space = namespace if resource.namespaced else None
    return ApiPath("/".join(parts), plural, space, name, resource.group)
