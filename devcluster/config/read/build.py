"""What was read, as values of the model: with absolute paths and the shell's variables filled in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from devcluster.config.model import (
    Agent,
    Healthcheck,
    Mount,
    Network,
    Project,
    Rewrite,
    Runtime,
    Target,
    VolumeRule,
    Workload,
)
from devcluster.config.read import forms
from devcluster.config.read.env_files import absolute
from devcluster.config.read.runtime import RUNTIME
from devcluster.config.read.shapes import FileSurroundings
from devcluster.config.read.structures import flatten
from devcluster.config.text.interpolate import Lookup

Found = dict[str, Any]


def build_project(found: Found, name: str, file: Path, around: FileSurroundings) -> Project:
    return Project(
        name=name,
        file=file,
        context=found.get("context"),
        namespace=found.get("namespace"),
        agent=found.get("agent", Agent()),
        network=_network(found.get("network", {}).get("local", ())),
        tunnels=found.get("tunnels", ()),
        workloads=tuple(_workload(key, value, around) for key, value in found["workloads"]),
    )


def _network(local: tuple[str, ...]) -> Network:
    return Network(
        names=tuple(item for item in local if not forms.is_network(item)),
        networks=tuple(item for item in local if forms.is_network(item)),
    )


_AS_READ = (
    "mode", "run", "take", "order", "services", "image", "pull_policy",
    "pod_command", "entrypoint", "command", "working_dir", "user",
)  # fmt: skip


def _workload(key: str, found: Found, around: FileSurroundings) -> Workload:
    return Workload(
        key=key,
        target=found.get("target") or Target(key),
        ports=flatten(found["ports"]) if "ports" in found else None,
        port_map=tuple((int(it) if it.isdigit() else it, to) for it, to in found.get("port_map", ())),
        environment=_environment(found, around.lookup),
        env_exclude=found.get("env", {}).get("exclude", ()),
        env_export=_export(found.get("env", {}), around.folder),
        rewrite=_rewrite(found.get("rewrite", {})),
        volumes=tuple(_volume(name, rule, around.folder) for name, rule in found.get("volumes", ())),
        mounts=tuple(_mount(mount, around.folder) for mount in found.get("mounts", ())),
        healthcheck=_healthcheck(found.get("healthcheck", "from-pod")),
        runtime=_runtime(found),
        **{name: found[name] for name in _AS_READ if name in found},
    )


def _environment(found: Found, lookup: Lookup) -> tuple[tuple[str, str], ...]:
    variables = dict(found.get("env_file", ())) | dict(found.get("environment", ()))
    filled = {name: lookup(name) if value is None else value for name, value in variables.items()}
    return tuple((name, value) for name, value in filled.items() if value is not None)


def _export(found: Found, folder: Path) -> Path | None:
    return absolute(found["export"], folder) if "export" in found else None


def _rewrite(found: Found) -> Rewrite:
    wish = found.get("environment", True)
    services = found.get("services")
    if isinstance(wish, tuple):
        return Rewrite(True, wish, services)
    return Rewrite(wish, None, services)


def _volume(name: str, found: Found, folder: Path) -> VolumeRule:
    path = found.get("path")
    settings = {key: value for key, value in found.items() if key != "path"}
    return VolumeRule(name, path=absolute(path, folder) if path else None, **settings)


def _mount(mount: Mount, folder: Path) -> Mount:
    if mount.kind != "bind":
        return mount
    return replace(mount, source=str(absolute(mount.source, folder)))


def _healthcheck(found: str | Found) -> Healthcheck:
    if found == "from-pod":
        return Healthcheck()
    if isinstance(found, str) or found.get("disable"):
        return Healthcheck("off")
    test = found["test"]
    words = ("CMD-SHELL", test) if isinstance(test, str) else test
    if words[0] == "NONE":
        return Healthcheck("off")
    settings = {name: value for name, value in found.items() if name not in ("test", "disable")}
    return Healthcheck("block", tuple(words), **settings)


def _runtime(found: Found) -> Runtime:
    settings = {it.name: found[it.name] for it in RUNTIME if it.name in found}
    if "ulimits" in settings:
        settings["ulimits"] = tuple((name, soft, hard) for name, (soft, hard) in settings["ulimits"])
    return Runtime(**settings)
