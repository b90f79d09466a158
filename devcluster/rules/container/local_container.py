"""The local container, from the pod's container, what the agent reports, and the file over both.

The two worlds differ in small things that matter:
- Kubernetes' ``command`` replaces the image's ENTRYPOINT *and* CMD, ``args`` only the CMD; the words come
  from the agent, since kubelet has expanded ``$(NAME)`` in them;
- Compose's ``entrypoint`` without ``command`` drops the pod's args and the CMD, an empty ``command`` the CMD;
- the user is the process' own, as numbers: securityContext, image and fsGroup have been counted in;
- an empty volume in memory is a tmpfs; ``privileged`` is never copied: it would mean the laptop;
- the file's image may begin with an init that insists on being process 1, so it gets no other one.

Sources: https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
https://docs.docker.com/reference/compose-file/services/#entrypoint
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from devcluster.config.model import Healthcheck, Mount, Runtime, Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.agent.facts import PodFacts
from devcluster.rules.cluster.template import detect_init
from devcluster.rules.container.environment import LocalEnvironment
from devcluster.rules.container.health import healthcheck_source
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.container.pod_times import stop_time
from devcluster.rules.container.security import pod_security

Json = dict[str, Any]

_SHM = "/dev/shm"  # noqa: S108 - Docker has a setting of its own for it
_SHM_SIZE = 1 << 30


@dataclass(frozen=True, slots=True)
class VolumeBind:
    """``source``: a Docker volume's name or an absolute path of the laptop; ``file``: of the volume only the
    file of this name is mounted."""

    source: str
    destination: str
    read_only: bool = False
    file: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """The workload's container.  None: the image's own.

    ``environment``: over the image's own.
    ``health``: None when probed through the gateway or not at all; Docker's own else.
    ``memory_volumes``: (path, bytes or None) of memory-backed emptyDirs, as tmpfs.
    """

    image: str
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    environment: tuple[tuple[str, str], ...] = field(repr=False)
    working_dir: str | None = None
    user: str | None = None
    groups: tuple[int, ...] = ()
    volumes: tuple[VolumeBind, ...] = ()
    memory_volumes: tuple[tuple[str, int | None], ...] = ()
    mounts: tuple[Mount, ...] = ()
    health: Healthcheck | None = None
    stop_signal: str | None = None
    stop_grace: float = 30.0
    read_only_root: bool = False
    runtime: Runtime = field(default_factory=Runtime)


def local_container(
    *,
    container: Json,
    pod_spec: Json,
    facts: PodFacts,
    workload: Workload,
    image: ImageFacts,
    environment: LocalEnvironment,
    volumes: tuple[VolumeBind, ...] = (),
    memory: tuple[tuple[str, int | None], ...] = (),
) -> ContainerSpec:
    """*container* and *pod_spec* as they were before the agent; *volumes*: where the copies are; *memory*:
    path and bytes of what is in memory and empty."""
    entrypoint, command = _command(container, facts, workload, image.entrypoint)
    security = pod_security(container, facts.rights)
    runtime = _runtime(container, security, pod_spec, workload, memory)
    words = (image.entrypoint if entrypoint is None else entrypoint) + (
        image.command if command is None else command
    )
    if runtime.init is None and detect_init(words):
        runtime = replace(runtime, init=False)
    return ContainerSpec(
        image=image.id,
        entrypoint=entrypoint,
        command=command,
        environment=environment.variables,
        working_dir=workload.working_dir or facts.cwd,
        user=workload.user or f"{facts.uid}:{facts.gid}",
        groups=() if workload.user else facts.groups,
        volumes=volumes,
        memory_volumes=tuple((path, size) for path, size in memory if path != _SHM),
        mounts=workload.mounts,
        health=healthcheck_source(container, workload).docker,
        stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or image.stop_signal,
        stop_grace=stop_time(pod_spec),
        read_only_root=bool(security.get("readOnlyRootFilesystem")),
        runtime=runtime,
    )


def _command(
    container: Json, facts: PodFacts, workload: Workload, image_entrypoint: tuple[str, ...]
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Entrypoint and command for Docker; None: the image's."""
    words = len(container.get("command") or ())
    tail = len(container.get("args") or ())
    entrypoint, command = workload.entrypoint, workload.command
    if entrypoint is None and words:
        entrypoint = facts.command[:words]
        command = facts.command[words:] if command is None else command
    elif entrypoint is None and command is None and tail:
        command = facts.command[-tail:]
    if command != ():
        return entrypoint, command
    # No words at all: to Docker that is the image's CMD, except beside an entrypoint.
    entrypoint = image_entrypoint if entrypoint is None else entrypoint
    if not entrypoint:
        raise ConfigurationError(
            f"workloads.{workload.key}: both command and entrypoint are empty",
            hint="write what to run as `command:` or `entrypoint:`",
        )
    return entrypoint, None


def render_command_hint(container: Json, facts: PodFacts, workload: Workload) -> str:
    """What to write where a command was not started: it is the pod's, and the file names another image."""
    if workload.image is None or workload.entrypoint is not None or not container.get("command"):
        return ""
    return (
        f"{facts.command[0]} is the pod's command, which {workload.image} may not have; "
        f"`entrypoint: [...]` and `command: [...]` under workloads.{workload.key} say another one"
    )


def _runtime(
    container: Json,
    security: Json,
    pod_spec: Json,
    workload: Workload,
    memory: Sequence[tuple[str, int | None]],
) -> Runtime:
    written = workload.runtime
    add, drop = _capabilities(security.get("capabilities") or {}, written)
    shm = next((size or _SHM_SIZE for path, size in memory if path == _SHM), None)
    return replace(
        written,
        cap_add=add,
        cap_drop=drop,
        extra_hosts=(),
        security_opt=_security_options(security, written),
        shm_size=shm if written.shm_size is None else written.shm_size,
        stdin_open=written.stdin_open or bool(container.get("stdin")),
        sysctls=tuple(item for item in _sysctls(pod_spec, written) if not _is_network(item[0])),
        tty=written.tty or bool(container.get("tty")),
    )


def _capabilities(pod: Json, written: Runtime) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pod's capabilities, overridden by the file: what the file adds is not dropped, and vice versa."""
    file_add, file_drop = _names(written.cap_add), _names(written.cap_drop)
    add = [name for name in _names(pod.get("add") or ()) if name not in file_drop and "ALL" not in file_drop]
    drop = [name for name in _names(pod.get("drop") or ()) if name not in file_add]
    return tuple(dict.fromkeys([*add, *file_add])), tuple(dict.fromkeys([*drop, *file_drop]))


def _names(capabilities: Sequence[str]) -> list[str]:
    return [name.upper().removeprefix("CAP_") for name in capabilities]


def _security_options(security: Json, written: Runtime) -> tuple[str, ...]:
    options = written.security_opt
    said = written.privileged or any(option.startswith("no-new-privileges") for option in options)
    if security.get("allowPrivilegeEscalation") is False and not said:
        return (*options, "no-new-privileges:true")
    return options


def _sysctls(pod_spec: Json, written: Runtime) -> tuple[tuple[str, str], ...]:
    listed = (pod_spec.get("securityContext") or {}).get("sysctls") or []
    pod = {item["name"].replace("/", "."): str(item["value"]) for item in listed}
    return tuple((pod | dict(written.sysctls)).items())


def _is_network(sysctl: str) -> bool:
    return sysctl.startswith("net.")


def network_runtime(pod_spec: Json, workload: Workload) -> Runtime:
    """What belongs to the network namespace, which another container owns: hosts and ``net.`` settings."""
    sysctls = tuple(item for item in _sysctls(pod_spec, workload.runtime) if _is_network(item[0]))
    return Runtime(extra_hosts=workload.runtime.extra_hosts, sysctls=sysctls)
