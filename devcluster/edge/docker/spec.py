"""A workload's container as the Engine API's JSON, and its keyed digest.  Pure.

Rules: what the pod does not say is left to the image, except where Docker adds what Kubernetes never does: an
image's HEALTHCHECK, its content copied into an empty volume, ``noexec`` on memory volumes.  Process 1 is
Docker's init, as it is the agent in the pod: the kernel keeps a signal from a process 1 that has no handler
for it, so Node, Python and many a shell would be killed only when their grace period is over.  The digest
tells whether a container still is what the plan says.  It is keyed, since a plain hash of an environment
would let anybody who reads a label try passwords.

Source: https://docs.docker.com/reference/api/engine/version/v1.41/ (ContainerCreate)
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Any

from devcluster.config.model import Healthcheck, Mount
from devcluster.errors import ConfigurationError
from devcluster.rules.container.docker_names import SPEC, labels, mount_name
from devcluster.rules.container.local_container import ContainerSpec, VolumeBind

_SECOND = 1_000_000_000


def spec_digest(spec: ContainerSpec, key: bytes) -> str:
    """32 hex digits that change when *spec* does; *key*: a secret of this laptop."""
    fields = [getattr(spec, name) for name in spec.__dataclass_fields__]
    return hmac.new(key, repr(fields).encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:32]


def workload_config(
    project: str, key: str, netns_id: str, spec: ContainerSpec, digest: str
) -> dict[str, Any]:
    """The body of ``POST /containers/create``.  Holds secrets: never to be logged."""
    runtime = spec.runtime
    ours = labels(project, "workload", key) | {SPEC: digest}
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": environment_list(spec.environment),
        "Labels": dict(runtime.labels) | ours,
        "Tty": runtime.tty,
        "OpenStdin": runtime.stdin_open,
        "StopTimeout": max(1, round(spec.stop_grace)),
        "Healthcheck": healthcheck(spec.health),
        "HostConfig": host_config(project, key, netns_id, spec),
    }
    given: dict[str, Any] = {
        "Entrypoint": _list(spec.entrypoint),
        "Cmd": _list(spec.command),
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "StopSignal": spec.stop_signal,
    }
    return config | {name: value for name, value in given.items() if value is not None}


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    """An empty entrypoint is ``[]``: the engine takes ``[]`` to mean the image's."""
    return None if words is None else list(words) or [""]


def environment_list(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """``NAME=value``.  The API can carry only UTF-8."""
    result: list[str] = []
    for name, value in pairs:
        text = f"{name}={value}"
        try:
            text.encode()
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "backslashreplace").decode()
            raise ConfigurationError(
                f"the value of {shown} is not UTF-8, and Docker can't carry it",
                hint=f"leave it out with env.exclude: [{shown}], or set it under environment",
            ) from None
        if not name or "=" in name or "\0" in text:
            raise ConfigurationError("the pod has a variable whose name or value Docker can't carry")
        result.append(text)
    return result


def healthcheck(health: Healthcheck | None) -> dict[str, Any]:
    """Docker's block.  None or off: the image's own is switched off too, as in Kubernetes."""
    if health is None or health.source == "off" or not health.test:
        return {"Test": ["NONE"]}
    times = {
        "Interval": health.interval,
        "Timeout": health.timeout,
        "StartPeriod": health.start_period,
        "StartInterval": health.start_interval,
    }
    block: dict[str, Any] = {"Test": list(health.test)}
    block |= {name: int(value * _SECOND) for name, value in times.items() if value is not None}
    return block if health.retries is None else block | {"Retries": health.retries}


def host_config(project: str, key: str, netns_id: str, spec: ContainerSpec) -> dict[str, Any]:
    runtime = spec.runtime
    config: dict[str, Any] = {
        "NetworkMode": f"container:{netns_id}",
        "RestartPolicy": {"Name": "no"},
        "Mounts": [_bind(project, key, item) for item in spec.volumes] + _mounts(project, key, spec.mounts),
        "Binds": [_relabelled(mount) for mount in spec.mounts if mount.selinux],
        "Tmpfs": _tmpfs(spec),
        "GroupAdd": [str(group) for group in spec.groups],
        "ReadonlyRootfs": spec.read_only_root,
        "Privileged": runtime.privileged,
        "CapAdd": list(runtime.cap_add),
        "CapDrop": list(runtime.cap_drop),
        "SecurityOpt": list(runtime.security_opt),
        **_devices(runtime.devices),
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in runtime.ulimits],
        "Sysctls": {name: value for name, value in runtime.sysctls if not name.startswith("net.")},
    }
    given: dict[str, Any] = {
        "Init": runtime.init is not False,
        "Memory": runtime.mem_limit,
        "NanoCpus": None if runtime.cpus is None else int(runtime.cpus * _SECOND),
        "ShmSize": runtime.shm_size,
    }
    return config | {name: value for name, value in given.items() if value is not None}


def _bind(project: str, key: str, volume: VolumeBind) -> dict[str, Any]:
    if os.path.isabs(volume.source):
        return _mount("bind", volume.source, volume.destination, volume.read_only)
    made = _mount("volume", volume.source, volume.destination, volume.read_only)
    options: dict[str, Any] = {"NoCopy": True}
    options["Labels"] = labels(project, "volume", key)  # ours also where Docker makes it
    if volume.file:
        options["Subpath"] = volume.file
    return made | {"VolumeOptions": options}


def _mounts(project: str, key: str, mounts: tuple[Mount, ...]) -> list[dict[str, Any]]:
    """Mounts as in Compose: a named volume belongs to the workload and starts with the image's content."""
    result: list[dict[str, Any]] = []
    for mount in mounts:
        if mount.selinux:
            continue
        source = mount.source
        if mount.kind == "volume":
            source = mount_name(project, key, mount.source) if mount.source else ""
        made = _mount(mount.kind, source, mount.target, mount.read_only)
        result.append(made | _options(project, key, mount))
    return result


def _relabelled(mount: Mount) -> str:
    """The older form, the only one in which Docker relabels for SELinux."""
    options = ("ro" if mount.read_only else "rw", mount.selinux, mount.propagation)
    return f"{mount.source}:{mount.target}:{','.join(filter(None, options))}"


def _options(project: str, key: str, mount: Mount) -> dict[str, Any]:
    if mount.kind == "volume":
        return {"VolumeOptions": {"Labels": labels(project, "volume", key), "NoCopy": not mount.copy}}
    if mount.kind == "bind":
        return {"BindOptions": {"Propagation": mount.propagation}} if mount.propagation else {}
    given = {"SizeBytes": mount.size, "Mode": mount.permissions}
    return {"TmpfsOptions": {name: value for name, value in given.items() if value is not None}}


def _mount(kind: str, source: str, target: str, read_only: bool) -> dict[str, Any]:
    base = {"Type": kind, "Target": target, "ReadOnly": read_only}
    return base if kind == "tmpfs" else base | {"Source": source}


def _tmpfs(spec: ContainerSpec) -> dict[str, str]:
    """Kubernetes' memory volumes are writable by all and executable; Docker's default is neither."""
    result: dict[str, str] = {}
    for path, size in spec.memory_volumes:
        result[path] = "rw,exec,mode=0777" + ("" if size is None else f",size={size}")
    for text in spec.runtime.tmpfs:
        path, _, options = text.partition(":")
        result[path] = options
    return result


def _devices(devices: Sequence[str]) -> dict[str, Any]:
    """A name of CDI (``vendor.com/class=name``) is asked for; a path is given.

    Source: https://docs.docker.com/reference/compose-file/services/#devices
    """
    named = [text for text in devices if "=" in text and not text.startswith("/")]
    paths = [_device(text) for text in devices if text not in named]
    return {"Devices": paths} | ({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": named}]} if named else {})


def _device(text: str) -> dict[str, str]:
    host, _, rest = text.partition(":")
    inside, _, rights = rest.partition(":")
    return {"PathOnHost": host, "PathInContainer": inside or host, "CgroupPermissions": rights or "rwm"}
