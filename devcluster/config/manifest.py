"""Words of a Kubernetes manifest (and a Dockerfile's) that the file has another one for.

Whoever knows the cluster's side writes them, and few lead to the right key by their letters.

Source: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

_HEAD = "a word of Kubernetes; "
_TARGET = "write `target: KIND/NAME/CONTAINER`, which is all that is needed to find it"
_LIMITS = "write `mem_limit` and `cpus`, limits of the local container"
_PROBE = "write `healthcheck`, or take it out: the default is the pod's own probe"
_POD = "take it out: it stays as the pod's template says"
_VOLUMES = (
    "take it out: every volume of the pod is copied, `volumes` has settings for that, `mounts` adds folders"
)
_NO_MANIFEST = (
    "take it out: the file is no manifest. Write `workloads`, and below it the name of a Deployment"
)

_WORKLOAD = {
    "args": "write `command`; what Kubernetes calls `command` is `entrypoint` here",
    "container": _TARGET,
    "containers": _TARGET,
    "cpu": "write `cpus`, a limit of the local container",
    "deployment": _TARGET,
    "envFrom": "write `env_file`, or take it out: the container has the pod's environment",
    "imagePullPolicy": "write `pull_policy`: always, missing or never",
    "imagePullSecrets": "take it out: the laptop's own `docker login` counts",
    "initContainers": _POD,
    "kind": _TARGET,
    "limits": _LIMITS,
    "livenessProbe": _PROBE,
    "memory": "write `mem_limit`, a limit of the local container",
    "metadata": _NO_MANIFEST,
    "name": _TARGET,
    "namespace": "write it beside `workloads`: all of them are in one namespace",
    "nodeSelector": _POD,
    "readinessProbe": _PROBE,
    "replicas": "take it out: the cluster says how many pods run, and one local container answers for all",
    "requests": _LIMITS,
    "resources": _LIMITS,
    "restartPolicy": (
        "take it out: when the container ends the pods get their traffic back, until the next `devcluster up`"
    ),
    "securityContext": "write `user`, `cap_add` and the like, or take it out: the default is the pod's",
    "serviceAccountName": _POD,
    "spec": _NO_MANIFEST,
    "startupProbe": _PROBE,
    "statefulset": _TARGET,
    "template": _NO_MANIFEST,
    "terminationGracePeriodSeconds": _POD,
    "volumeMounts": _VOLUMES,
}

WORKLOAD = {name: _HEAD + text for name, text in _WORKLOAD.items()} | {
    "cmd": "a Dockerfile's word; write `command`"
}
PROJECT = dict.fromkeys(("apiVersion", "kind", "metadata", "spec", "status"), _HEAD + _NO_MANIFEST)
