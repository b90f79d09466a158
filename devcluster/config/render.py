"""The file as it was understood, with defaults; values of the environment are masked.

What only the cluster knows is left out, so the text can be read again and means the same, except
for the values of the environment.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from devcluster.config.model import (
    Healthcheck,
    Mount,
    Project,
    Publish,
    Runtime,
    Target,
    VolumeRule,
    Workload,
)
from devcluster.config.text.units import render_duration, render_size

MASK = "***"


def render_config(project: Project, form: str = "text") -> str:
    """*form*: ``text`` (YAML) or ``json``; ends with a newline."""
    data = _project(project)
    if form == "json":
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    text: str = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _project(project: Project) -> dict[str, Any]:
    agent = project.agent
    return _written(
        name=project.name,
        context=project.context,
        namespace=project.namespace,
        agent={
            "port": agent.port,
            "fronts": agent.fronts,
            "lease": render_duration(agent.lease),
            "delivery": agent.delivery,
        },
        tunnels=[str(tunnel) for tunnel in project.tunnels],
        network={"local": [*project.network.names, *project.network.networks]},
        workloads={item.key: _workload(item) for item in project.workloads},
    )


def _written(**values: Any) -> dict[str, Any]:
    """Without what the file does not say.  An empty list or map counts as said."""
    return {name: value for name, value in values.items() if value is not None}


def _dollar(value: Any) -> Any:
    """``$`` doubled, so that reading the text again interpolates nothing."""
    match value:
        case str():
            return value.replace("$", "$$")
        case dict():
            return {name: _dollar(each) for name, each in value.items()}
        case list() | tuple():
            return [_dollar(each) for each in value]
    return value


def _workload(item: Workload) -> dict[str, Any]:
    variables = {name: MASK for name, _ in item.environment}
    rewrite = item.rewrite
    written = _written(
        target=_target(item.target),
        mode=item.mode,
        run=item.run,
        services=_list(item.services),
        port_map={str(port): local for port, local in item.port_map} or None,
        take=item.take,
        order=item.order,
        image=item.image,
        pull_policy=item.pull_policy,
        pod_command=_list(item.pod_command),
        entrypoint=_list(item.entrypoint),
        command=_list(item.command),
        working_dir=item.working_dir,
        user=item.user,
        ports=None if item.ports is None else [_port(port) for port in item.ports],
        environment=variables,
        env=_written(
            exclude=list(item.env_exclude), export=str(item.env_export) if item.env_export else None
        ),
        rewrite=_written(
            environment=rewrite.environment if rewrite.variables is None else list(rewrite.variables),
            services=_list(rewrite.services),
        ),
        volumes={rule.key: _volume(rule) for rule in item.volumes},
        mounts=[_mount(mount) for mount in item.mounts],
        healthcheck=_healthcheck(item.healthcheck),
        **_runtime(item.runtime),
    )
    return {name: _dollar(value) for name, value in written.items()}


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _target(target: Target) -> str:
    if target.kind is None:
        return target.name
    return "/".join(part for part in (target.kind, target.name, target.container) if part)


def _port(port: Publish) -> dict[str, Any]:
    published = f"{port.local}-{port.last}" if port.last else port.local
    return _written(target=port.container, published=published, host_ip=port.address, protocol=port.protocol)


def _volume(rule: VolumeRule) -> dict[str, Any]:
    return _written(
        mode=rule.mode,
        path=str(rule.path) if rule.path else None,
        rewrite=list(rule.rewrite),
        exclude=list(rule.exclude),
        limit=None if rule.limit is None else render_size(rule.limit),
        force=True if rule.force else None,
    )


def _mount(mount: Mount) -> dict[str, Any]:
    made = _written(
        type=mount.kind, source=mount.source or None, target=mount.target, read_only=mount.read_only
    )
    options = {
        "bind": _written(
            propagation=mount.propagation or None,
            create_host_path=None if mount.create else False,
            selinux=mount.selinux or None,
        ),
        "volume": _written(nocopy=None if mount.copy else True),
        "tmpfs": _written(size=mount.size and render_size(mount.size), mode=mount.permissions),
    }[mount.kind]
    return made | ({mount.kind: options} if options else {})


def _healthcheck(health: Healthcheck) -> Any:
    if health.source != "block":
        return health.source
    times = {
        name: None if value is None else render_duration(value)
        for name, value in (
            ("interval", health.interval),
            ("timeout", health.timeout),
            ("start_period", health.start_period),
            ("start_interval", health.start_interval),
        )
    }
    return _written(test=list(health.test), retries=health.retries, **times)


def _runtime(runtime: Runtime) -> dict[str, Any]:
    """Only what differs from Docker's defaults."""
    result: dict[str, Any] = {}
    plain = Runtime()
    for name in Runtime.__dataclass_fields__:
        value = getattr(runtime, name)
        if value == getattr(plain, name):
            continue
        if name == "extra_hosts":
            value = [f"{host}={address}" for host, address in value]
        elif name in ("labels", "sysctls"):
            value = dict(value)
        elif name == "ulimits":
            value = {limit: {"soft": soft, "hard": hard} for limit, soft, hard in value}
        elif name in ("mem_limit", "shm_size"):
            value = render_size(value)
        result[name] = list(value) if isinstance(value, tuple) else value
    return result
