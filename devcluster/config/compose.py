"""Compose's keys that the file does not have, and what to do about each.

Whoever comes with a Compose file writes them, and the nearest key by its letters would lead astray
(``restart`` is no slip for ``target``).  Each answer begins with what to do and needs no other line to be
understood.

Source: https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

_HEAD = "only Compose has this key; "
_NETWORK = (
    "take it out: the network, its names and its addresses are the pod's. `extra_hosts` adds a name, and"
    " `network` beside `workloads` lists what the laptop reaches by itself"
)
_FILES = (
    "take it out: the pod's own files are in the container, see `volumes`; `mounts` adds files of the laptop"
)
_MEMORY = "write `mem_limit`, the only limit of memory"
_CPU = "write `cpus`, the only limit of processors"
_NOTHING = "take it out: devcluster has nothing of the kind"

_WORKLOAD = {
    "annotations": "write `labels`, or take it out: a local container has no others",
    "attach": "take it out: `devcluster up` shows the logs, `devcluster up -d` does not",
    "configs": _FILES,
    "container_name": "take it out: the container's name is devcluster-PROJECT-NAME",
    "cpu_count": _CPU,
    "cpu_percent": _CPU,
    "cpu_period": _CPU,
    "cpu_quota": _CPU,
    "cpu_shares": _CPU,
    "cpuset": _CPU,
    "deploy": "take it out: how many pods run is the cluster's; `mem_limit` and `cpus` are limits here",
    "dns": _NETWORK,
    "dns_opt": _NETWORK,
    "dns_search": _NETWORK,
    "dockerfile": "take it out: `build` is not built yet, so build the image yourself and name it by `image`",
    "domainname": _NETWORK,
    "expose": "take it out: Services lead to the local container as to the pod; `ports` are the laptop's",
    "external_links": _NETWORK,
    "gpus": "write `devices`, which gives the container one of the laptop's",
    "group_add": "take it out: the groups are the pod's; `user` replaces them",
    "hostname": _NETWORK,
    "label_file": "write `labels`: they stand in this file",
    "links": _NETWORK,
    "logging": "take it out: `devcluster logs` shows what the container says",
    "mac_address": _NETWORK,
    "mem_reservation": _MEMORY,
    "mem_swappiness": _MEMORY,
    "memswap_limit": _MEMORY,
    "network_mode": _NETWORK,
    "networks": _NETWORK,
    "post_start": _NOTHING,
    "pre_stop": _NOTHING,
    "read_only": "take it out: `readOnlyRootFilesystem` of the pod's template counts",
    "restart": (
        "take it out: when the container ends the pods get their traffic back, until the next `devcluster up`"
    ),
    "scale": "take it out: one local container answers for all pods",
    "secrets": _FILES,
    "stop_grace_period": "take it out: `terminationGracePeriodSeconds` of the pod's template counts",
    "stop_signal": "take it out: the container gets the signal that the pod gets",
    "volumes_from": _FILES,
} | dict.fromkeys(
    (
        "blkio_config",
        "cgroup",
        "cgroup_parent",
        "cpu_rt_period",
        "cpu_rt_runtime",
        "credential_spec",
        "device_cgroup_rules",
        "ipc",
        "isolation",
        "models",
        "oom_kill_disable",
        "oom_score_adj",
        "pid",
        "pids_limit",
        "provider",
        "runtime",
        "storage_opt",
        "use_api_socket",
        "userns_mode",
        "uts",
    ),
    _NOTHING,
)

_PROJECT = {
    "configs": _FILES,
    "include": "take it out: a project is one file",
    "models": _NOTHING,
    "networks": "take it out: the network is the pod's; `network` lists what the laptop reaches by itself",
    "secrets": _FILES,
    "services": "write `workloads`, and below it the name of each Deployment that is to run on the laptop",
    "version": "take it out: the file has no version",
    "volumes": (
        "take it out: settings of the pod's volumes stand under `volumes` of a workload, folders of the"
        " laptop under `mounts`"
    ),
}

WORKLOAD = {name: _HEAD + text for name, text in _WORKLOAD.items()}
PROJECT = {name: _HEAD + text for name, text in _PROJECT.items()}
