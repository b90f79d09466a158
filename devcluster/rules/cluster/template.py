"""The pod template with the agent around the application: data in, data out.

Only the target container changes, and the pod gets two volumes.  Everything else stays, because each change
is one more to undo.  What the agent needs to know is in ``agent.json`` (``agent_settings``), because a change
of the template costs a roll-out.

A trap: kubelet expands ``$(NAME)`` in a command of the spec but not in one of the image, so each ``$`` of an
image's command is doubled when it moves into the spec.  Another trap is memory (``memory``).

Source: https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from devcluster.config.model import Delivery
from devcluster.errors import ConfigurationError
from devcluster.rules.cluster.memory import Admitted, raise_memory
from devcluster.rules.cluster.memory_variables import variable_figures, write_plain
from devcluster.rules.cluster.services import FrontPort
from devcluster.rules.container.image import ImageFacts
from devcluster.rules.ports.ports import PortKey, container_port, pod_ports

Json = dict[str, Any]

ROOT = "/.devcluster"
BIN, ETC, RUN = "devcluster-bin", "devcluster-etc", "devcluster-run"
SECRET_FILES = ("agent.key", "laptop.pub", "agent.json", "record.json")

_INITS = {
    "/init": "s6-overlay's /init",
    "s6-svscan": "s6-svscan",
    "systemd": "systemd",
    "init": "an init system",
    "runit-init": "runit",
    "openrc-init": "OpenRC",
}


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How a container is wrapped.  ``command``: what follows ``--``, as the spec must say it.

    ``pin``: value of kubernetes.io/arch that the pod must be scheduled to, or None; ``admitted``: the memory
    that a pod gets where the template says nothing.
    """

    secret: str
    chunks: tuple[str, ...]
    command: tuple[str, ...]
    port: int = 9900
    delivery: Delivery = "memfd"
    fronts: tuple[FrontPort, ...] = ()
    pin: str | None = None
    admitted: Admitted | None = None


def find_container(template: Json, name: str) -> Json:
    """The container of that name; KeyError where there is none."""
    for container in template["spec"]["containers"]:
        if container["name"] == name:
            assert isinstance(container, dict)
            return container
    raise KeyError(name)


def is_wrapped(template: Json) -> bool:
    """Whether it has an agent, which our volume shows."""
    return any(volume["name"] == BIN for volume in template["spec"].get("volumes") or [])


def original_command(container: Json, image: ImageFacts | None) -> tuple[str, ...]:
    """What kubelet would run, as the spec must say it: command and args over the image's own.

    ConfigurationError where only the image knows and the laptop can't read it.
    """
    command, args = container.get("command"), container.get("args")
    if command:
        return (*command, *(args or ()))
    if image is None:
        raise ConfigurationError(
            f"the command of container {container['name']} is in its image {container.get('image', '')}, "
            "but the laptop can't read that image",
            hint="write it as `pod_command: [...]` in devcluster.yaml, or `docker login` to its registry",
        )
    parts = (*_doubled(image.entrypoint), *(args if args else _doubled(image.command)))
    if not parts:
        raise ConfigurationError(f"neither the pod nor the image {container.get('image', '')} has a command")
    return parts


def _doubled(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.replace("$", "$$") for word in words)


def detect_init(argv: Sequence[str]) -> str | None:
    """The init that insists on being process 1, by name; None where the command may have another parent."""
    if not argv:
        return None
    program = argv[0]
    if program == "/init" or "s6-overlay" in program:
        return _INITS["/init"]
    name = program.rsplit("/", 1)[-1]
    return _INITS.get(name) if name != "init" or program in ("init", "/sbin/init", "/usr/sbin/init") else None


def check_template(
    template: Json,
    *,
    container: str,
    agent_port: int,
    command: Sequence[str],
    routed: Collection[PortKey] = (),
) -> None:
    """ConfigurationError, with the reason, for what can't carry an agent.  *routed*: ports of the container
    to which Services lead, declared or not."""
    spec = template["spec"]
    init = detect_init(command)
    if init:
        raise ConfigurationError(
            f"container {container} is started by {init}, which must be process 1, as must the agent",
            hint="give the pod's container a `command` that starts the application itself",
        )
    if spec.get("shareProcessNamespace"):
        raise ConfigurationError(
            "pods with shareProcessNamespace are not supported: the agent must be process 1"
        )
    if spec.get("hostNetwork"):
        raise ConfigurationError(
            "pods with hostNetwork are not supported: the agent's port would be the node's"
        )
    if (spec.get("os") or {}).get("name") == "windows":
        raise ConfigurationError("Windows pods are not supported")
    _check_places(template, container)
    if PortKey(agent_port) in pod_ports(spec) | set(routed):
        raise ConfigurationError(
            f"the pod itself uses port {agent_port}", hint="choose another for the agent: `agent: {port: …}`"
        )


def _check_places(template: Json, container: str) -> None:
    mounts = [mount["mountPath"] for mount in find_container(template, container).get("volumeMounts") or []]
    taken = [path for path in mounts if f"{path}/".startswith(f"{ROOT}/")]
    names = {volume["name"] for volume in template["spec"].get("volumes") or []} & {BIN, ETC, RUN}
    taken += [f"volume {name}" for name in sorted(names)]
    if taken:
        raise ConfigurationError(f"container {container} has {taken[0]}, which the agent needs for itself")


def wrap_template(template: Json, *, container: str, wrapping: Wrapping) -> Json:
    """A copy of *template* in which *container* is started by the agent."""
    result: Json = copy.deepcopy(template)
    spec = result["spec"]
    target = find_container(result, container)
    target["command"] = _command(wrapping)
    target.pop("args", None)
    spec["volumes"] = [*(spec.get("volumes") or []), *_volumes(wrapping)]
    target["volumeMounts"] = [*(target.get("volumeMounts") or []), *_mounts(wrapping)]
    _point_probes(target, wrapping.port)
    _drop_hooks(target)
    _move_names(target, wrapping.fronts)
    write_plain(target, variable_figures(find_container(template, container), wrapping.admitted))
    raise_memory(target, wrapping.admitted)
    if wrapping.pin is not None:
        _pin(spec, wrapping.pin)
    return result


def _command(wrapping: Wrapping) -> list[str]:
    into = [f"--into={ROOT}/run/agent"] if wrapping.delivery == "emptydir" else []
    return [f"{ROOT}/bin/boot", *into, "guard", "--", *wrapping.command]


def _volumes(wrapping: Wrapping) -> list[Json]:
    sources = []
    for index, chunk in enumerate(wrapping.chunks):
        keys = [f"a.{index:02}"] + (["boot"] if index == 0 else [])
        items = [{"key": key, "path": key} for key in keys]
        sources.append({"configMap": {"name": chunk, "items": items}})
    items = [{"key": name, "path": name} for name in SECRET_FILES]
    volumes: list[Json] = [
        {"name": BIN, "projected": {"defaultMode": 0o555, "sources": sources}},
        {"name": ETC, "secret": {"secretName": wrapping.secret, "defaultMode": 0o444, "items": items}},
    ]
    if wrapping.delivery == "emptydir":
        volumes.append({"name": RUN, "emptyDir": {"sizeLimit": "64Mi"}})
    return volumes


def _mounts(wrapping: Wrapping) -> list[Json]:
    mounts: list[Json] = [
        {"name": BIN, "mountPath": f"{ROOT}/bin", "readOnly": True},
        {"name": ETC, "mountPath": f"{ROOT}/etc", "readOnly": True},
    ]
    if wrapping.delivery == "emptydir":
        mounts.append({"name": RUN, "mountPath": f"{ROOT}/run"})
    return mounts


def _point_probes(container: Json, port: int) -> None:
    """The agent runs the original probes; kubelet probes the agent, often, because the answer is ready."""
    container["readinessProbe"] = {
        "httpGet": {"path": f"{ROOT}/ready", "port": port},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        "failureThreshold": 1,
    }
    container["livenessProbe"] = {
        "httpGet": {"path": f"{ROOT}/live", "port": port},
        "periodSeconds": 10,
        "timeoutSeconds": 10,
        "failureThreshold": 3,
    }
    container.pop("startupProbe", None)


def _drop_hooks(container: Json) -> None:
    """Remove the hooks that the agent runs itself: postStart, and a preStop that calls the application's
    port.  While a laptop holds the pod, each ending replica would otherwise tell the laptop's process to
    stop."""
    lifecycle = dict(container.get("lifecycle") or {})
    calls = {"httpGet", "tcpSocket"} & (lifecycle.get("preStop") or {}).keys()
    dropped = [lifecycle.pop(name, None) for name in ("postStart", *(["preStop"] if calls else []))]
    if not any(dropped):
        return
    if lifecycle:
        container["lifecycle"] = lifecycle
    else:
        del container["lifecycle"]


def _move_names(container: Json, fronts: Sequence[FrontPort]) -> None:
    """Move every name of a port that has a front, because a Service may use any of them."""
    moved = {item.port: item for item in fronts if item.front is not None}
    added = []
    for port in container.get("ports") or []:
        key = container_port(port)
        front = moved.get(key)
        if front is not None and port.get("name", "") not in ("", *front.staying):
            added.append({"name": port.pop("name"), "containerPort": front.front, "protocol": key.protocol})
    if added:
        ports = container["ports"]  # of one with several names no two are left that nothing tells apart
        bare = [port for index, port in enumerate(ports) if port not in ports[:index]]
        container["ports"] = [*bare, *added]


def _pin(spec: Json, architecture: str) -> None:
    wish = {"key": "kubernetes.io/arch", "operator": "In", "values": [architecture]}
    affinity = spec.setdefault("affinity", {}) or spec["affinity"]
    node = affinity.setdefault("nodeAffinity", {})
    required = node.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {"nodeSelectorTerms": [{}]})
    for term in required["nodeSelectorTerms"]:  # they are alternatives, so each must say it
        term["matchExpressions"] = [*(term.get("matchExpressions") or []), wish]
