"""Words of Kubernetes manifests and Dockerfiles for which this file has another one.

People who know Kubernetes write them, and few of them resemble the right key.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from devcluster.config.read.forms import KIND_NAMES

_HEAD = "this is a Kubernetes key; "
_TARGET = "write `target: KIND/NAME/CONTAINER` instead"
_LIMITS = "write `mem_limit` and `cpus` to limit the local container"
_PROBE = "write `healthcheck`, or remove it: the default is the pod's own probe"
_POD = "remove it: the pod's template decides"
_VOLUMES = (
    "remove it: every volume of the pod is copied; `volumes` has settings for that, `mounts` adds folders"
)
_NO_MANIFEST = (
    "remove it: this file is not a manifest. Write `workloads`, and below it the name of a Deployment"
)

_WORKLOAD = {
    "args": "write `command`; what Kubernetes calls `command` is `entrypoint` here",
    "container": _TARGET,
    "containers": _TARGET,
    "cpu": "write `cpus` to limit the local container",
    "envFrom": "write `env_file`, or remove it: the container has the pod's environment",
    "imagePullPolicy": "write `pull_policy`: always, missing or never",
    "imagePullSecrets": "remove it: the laptop's own `docker login` is used",
    "initContainers": _POD,
    "kind": _TARGET,
    "limits": _LIMITS,
    "livenessProbe": _PROBE,
    "memory": "write `mem_limit` to limit the local container",
    "metadata": _NO_MANIFEST,
    "name": _TARGET,
    "namespace": "write it beside `workloads`: all of them are in one namespace",
    "nodeSelector": _POD,
    "readinessProbe": _PROBE,
    "replicas": "remove it: the cluster decides how many pods run, and one local container answers for all",
    "requests": _LIMITS,
    "resources": _LIMITS,
    "restartPolicy": (
        "remove it: when the container ends, the pods get their traffic back until the next `devcluster up`"
    ),
    "securityContext": "write `user`, `cap_add` and the like, or remove it: the default is the pod's",
    "serviceAccountName": _POD,
    "spec": _NO_MANIFEST,
    "startupProbe": _PROBE,
    "template": _NO_MANIFEST,
    "terminationGracePeriodSeconds": _POD,
    "volumeMounts": _VOLUMES,
}

WORKLOAD = {name: _HEAD + text for name, text in (_WORKLOAD | dict.fromkeys(KIND_NAMES, _TARGET)).items()} | {
    "cmd": "this is a Dockerfile's word; write `command`"
}
PROJECT = dict.fromkeys(("apiVersion", "kind", "metadata", "spec", "status"), _HEAD + _NO_MANIFEST)
