"""Keys of Compose that this file does not have, and what to write instead.

People who know Compose write them, and the key with the most similar letters would mislead (``restart`` is
not a typo of ``target``).  Each answer begins with what to do, and can be understood alone.

Source: https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

_HEAD = "only Compose has this key; "
_NETWORK = (
    "remove it: the container has the network, the names and the addresses of the pod. `extra_hosts` adds a"
    " name; `network`, beside `workloads`, lists what the laptop reaches directly"
)
_FILES = "remove it: the container has the pod's own files, see `volumes`; `mounts` adds files of the laptop"
_MEMORY = "write `mem_limit`, the only memory limit"
_CPU = "write `cpus`, the only CPU limit"
_NOTHING = "remove it: devcluster has no such setting"

_WORKLOAD = {
    "annotations": "write `labels`, or remove it: a local container has no annotations",
    "attach": "remove it: `devcluster up` shows the logs, `devcluster up -d` does not",
    "configs": _FILES,
    "container_name": "remove it: the container's name is devcluster-PROJECT-NAME",
    "cpu_count": _CPU,
    "cpu_percent": _CPU,
    "cpu_period": _CPU,
    "cpu_quota": _CPU,
    "cpu_shares": _CPU,
    "cpuset": _CPU,
    "deploy": "remove it: the cluster decides how many pods run; `mem_limit` and `cpus` are limits here",
    "dns": _NETWORK,
    "dns_opt": _NETWORK,
    "dns_search": _NETWORK,
    "dockerfile": "remove it: `build` is not built yet, so build the image yourself and name it in `image`",
    "domainname": _NETWORK,
    "expose": "remove it: Services lead to the local container as to the pod; `ports` are for the laptop",
    "external_links": _NETWORK,
    "gpus": "write `devices` to give the container a device of the laptop",
    "group_add": "remove it: the groups are the pod's; `user` replaces them",
    "hostname": _NETWORK,
    "label_file": "write `labels` in this file",
    "links": _NETWORK,
    "logging": "remove it: `devcluster logs` shows the container's output",
    "mac_address": _NETWORK,
    "mem_reservation": _MEMORY,
    "mem_swappiness": _MEMORY,
    "memswap_limit": _MEMORY,
    "network_mode": _NETWORK,
    "networks": _NETWORK,
    "post_start": _NOTHING,
    "pre_stop": _NOTHING,
    "read_only": "remove it: `readOnlyRootFilesystem` in the pod's template decides",
    "scale": "remove it: one local container answers for all pods",
    "secrets": _FILES,
    "stop_grace_period": "remove it: `terminationGracePeriodSeconds` in the pod's template decides",
    "stop_signal": "remove it: the container gets the same signal as the pod",
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
    "include": "remove it: a project is one file",
    "models": _NOTHING,
    "networks": "remove it: the network is the pod's; `network` lists what the laptop reaches directly",
    "secrets": _FILES,
    "services": "write `workloads`, and below it the name of each Deployment to run on the laptop",
    "version": "remove it: the file has no version",
    "volumes": (
        "remove it: settings of the pod's volumes go under `volumes` of a workload, folders of the"
        " laptop under `mounts`"
    ),
}

WORKLOAD = {name: _HEAD + text for name, text in _WORKLOAD.items()}
PROJECT = {name: _HEAD + text for name, text in _PROJECT.items()}
