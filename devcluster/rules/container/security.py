"""What the local container may do: what the kernel says of the application in its pod.

A policy of the cluster (a webhook, PodSecurity's defaults, another runtime) gives a pod what no template
says, so the template's ``securityContext`` is only the prediction.  Docker is told how the pod's
capabilities differ from Docker's own default.  A pod that may do everything on its node gets what its
template names, and no more: here that would mean the laptop.

Sources: linux/capability.h; https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
"""

from __future__ import annotations

from typing import Any

from devcluster.rules.agent.facts import Rights

Json = dict[str, Any]

_NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK"),
    *("IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN"),
    *("SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM"),
    *("BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
_DEFAULT = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "NET_BIND_SERVICE"),
    *("NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"),
)
_NODES = frozenset(("SYS_MODULE", "SYS_RAWIO", "SYS_BOOT"))


def pod_security(container: Json, told: Rights | None) -> Json:
    """The ``securityContext`` that *container* has in its pod.  *told*: by its agent, unless it is older."""
    security: Json = container.get("securityContext") or {}
    if told is None:
        return security
    security = security | {
        "readOnlyRootFilesystem": told.read_only_root,
        "allowPrivilegeEscalation": not told.no_new_privileges,
    }
    held = [name for number, name in enumerate(_NAMES) if told.capabilities >> number & 1]
    if set(held) >= _NODES:
        return security
    dropped = [name for name in _DEFAULT if name not in held]
    if len(dropped) == len(_DEFAULT):
        return security | {"capabilities": {"add": held, "drop": ["ALL"]}}
    added = [name for name in held if name not in _DEFAULT]
    return security | {"capabilities": {"add": added, "drop": dropped}}
