"""Compose's keys that the file does not have, and what plays their part here.

Whoever comes with a Compose file writes them, and the nearest key by its letters would lead astray
(``restart`` is no slip for ``target``).

Source: https://docs.docker.com/reference/compose-file/services/
"""

from __future__ import annotations

_NETWORK = (
    "the network, its names and its addresses are the pod's; `extra_hosts` adds a name, and `network` beside"
    " `workloads` says what the laptop reaches by itself"
)
_FILES = "the pod's own are there, as `volumes` says; `mounts` adds files of the laptop"
_END = "what the pod's template says counts"
_MEMORY = "`mem_limit` is the one limit of memory"
_CPU = "`cpus` is the one limit of processors"
_NOTHING = "nothing plays its part here"

WORKLOAD: dict[str, str] = {
    "annotations": "`labels` are the local container's",
    "attach": "`devcluster up` shows the logs, `devcluster up -d` does not",
    "configs": _FILES,
    "container_name": "it is devcluster-PROJECT-NAME, by the project and the workload's name",
    "cpu_count": _CPU,
    "cpu_percent": _CPU,
    "cpu_period": _CPU,
    "cpu_quota": _CPU,
    "cpu_shares": _CPU,
    "cpuset": _CPU,
    "deploy": "how many pods run, and where, is the cluster's; `mem_limit` and `cpus` are limits here",
    "dns": _NETWORK,
    "dns_opt": _NETWORK,
    "dns_search": _NETWORK,
    "domainname": _NETWORK,
    "expose": "its Services lead to it as to the pod; `ports` are the laptop's",
    "external_links": _NETWORK,
    "gpus": "`devices` gives it one of the laptop's",
    "group_add": "the groups are the pod's; `user` replaces them",
    "hostname": _NETWORK,
    "label_file": "`labels` are the local container's",
    "links": _NETWORK,
    "logging": "`devcluster logs` shows what the container says",
    "mac_address": _NETWORK,
    "mem_reservation": _MEMORY,
    "mem_swappiness": _MEMORY,
    "memswap_limit": _MEMORY,
    "network_mode": _NETWORK,
    "networks": _NETWORK,
    "post_start": _NOTHING,
    "pre_stop": _NOTHING,
    "read_only": _END,
    "restart": "a container that ends gives the traffic back; `devcluster up` starts it again",
    "scale": "one local container answers for all pods",
    "secrets": _FILES,
    "stop_grace_period": _END,
    "stop_signal": _END,
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

PROJECT: dict[str, str] = {
    "configs": _FILES,
    "include": _NOTHING,
    "models": _NOTHING,
    "networks": "the network is the pod's; `network` says what the laptop reaches by itself",
    "secrets": _FILES,
    "services": "what runs on the laptop stands under `workloads`, by the name of its Deployment",
    "version": "there is none to say: leave it out",
    "volumes": "the pod's stand under `volumes` of a workload, the laptop's under `mounts`",
}
