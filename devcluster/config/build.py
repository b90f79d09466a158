"""What was read, as the model's values: paths made absolute, variables of the shell filled in."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devcluster.config import forms
from devcluster.config.dotenv import parse_dotenv
from devcluster.config.interpolate import Lookup
from devcluster.config.keys import RUNTIME
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
from devcluster.config.structures import flatten

Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies outside the file.  ``read``: an env file's text, raising OSError or ValueError;
    ``problem``: told of the workload's key, its setting and the reason."""

    folder: Path
    lookup: Lookup
    read: Callable[[Path], str]
    problem: Callable[[str, str, str], None]


def build_project(found: Found, name: str, file: Path, around: Surroundings) -> Project:
    return Project(
        name=name,
        file=file,
        context=found.get("context"),
        namespace=found.get("namespace"),
        agent=found.get("agent", Agent()),
        network=_network(found.get("network", {}).get("local", ())),
        workloads=tuple(_workload(key, value, around) for key, value in found["workloads"]),
    )


def _network(local: tuple[str, ...]) -> Network:
    return Network(
        names=tuple(item for item in local if not forms.is_network(item)),
        networks=tuple(item for item in local if forms.is_network(item)),
    )


_AS_READ = (
    "mode", "take", "order", "image", "pull_policy",
    "pod_command", "entrypoint", "command", "working_dir", "user",
)  # fmt: skip


def _workload(key: str, found: Found, around: Surroundings) -> Workload:
    return Workload(
        key=key,
        target=found.get("target") or Target(key),
        ports=flatten(found["ports"]) if "ports" in found else None,
        environment=_environment(key, found, around),
        env_exclude=found.get("env", {}).get("exclude", ()),
        rewrite=_rewrite(found.get("rewrite", {})),
        volumes=tuple(_volume(name, rule, around.folder) for name, rule in found.get("volumes", ())),
        mounts=_mounts(key, found, around),
        healthcheck=_healthcheck(found.get("healthcheck", "from-pod")),
        runtime=_runtime(key, found, around),
        **{name: found[name] for name in _AS_READ if name in found},
    )


def _environment(key: str, found: Found, around: Surroundings) -> tuple[tuple[str, str], ...]:
    variables: dict[str, str | None] = {}
    for entry in found.get("env_file", ()):
        settings = entry if isinstance(entry, dict) else {"path": entry}
        path = _absolute(settings["path"], around.folder)
        try:
            known = _known(around.lookup, dict(variables))
            pairs = parse_dotenv(around.read(path), known, raw=settings.get("format") == "raw")
        except FileNotFoundError:
            if settings.get("required", True):
                around.problem(key, "env_file", f"{settings['path']} does not exist")
        except OSError as error:
            around.problem(key, "env_file", _unreadable(settings["path"], error))
        except UnicodeDecodeError:
            around.problem(key, "env_file", f"{settings['path']} is not UTF-8")
        except ValueError as error:
            around.problem(key, "env_file", f"{settings['path']}: {error}")
        else:
            variables |= pairs
    variables |= dict(found.get("environment", ()))
    filled = {name: around.lookup(name) if value is None else value for name, value in variables.items()}
    return tuple((name, value) for name, value in filled.items() if value is not None)


def _unreadable(path: str, error: OSError) -> str:
    return f"{path} can't be read: {os.strerror(error.errno or 5)}"


def _known(lookup: Lookup, before: dict[str, str | None]) -> Lookup:
    """What an env file may use: the shell's, else what the files before it set."""

    def known(name: str) -> str | None:
        value = lookup(name)
        return before.get(name) if value is None else value

    return known


def _rewrite(found: Found) -> Rewrite:
    wish = found.get("environment", True)
    services = found.get("services")
    if isinstance(wish, tuple):
        return Rewrite(True, wish, services)
    return Rewrite(wish, None, services)


def _volume(name: str, found: Found, folder: Path) -> VolumeRule:
    path = found.get("path")
    settings = {key: value for key, value in found.items() if key != "path"}
    return VolumeRule(name, path=_absolute(path, folder) if path else None, **settings)


def _mounts(key: str, found: Found, around: Surroundings) -> tuple[Mount, ...]:
    """Two at one place are Docker's to refuse, too late."""
    mounts = tuple(_mount(mount, around.folder) for mount in found.get("mounts", ()))
    targets = [posixpath.normpath(mount.target) for mount in mounts]
    targets += [posixpath.normpath(line.partition(":")[0]) for line in found.get("tmpfs", ())]
    for target in dict.fromkeys(it for it in targets if targets.count(it) > 1):
        around.problem(key, "mounts", f"{target} is mounted twice")
    return mounts


def _mount(mount: Mount, folder: Path) -> Mount:
    if mount.kind != "bind":
        return mount
    return replace(mount, source=str(_absolute(mount.source, folder)))


def _absolute(path: str, folder: Path) -> Path:
    """Relative to the file, as in Compose; ``..`` taken out without asking the disk."""
    return Path(os.path.normpath(folder / os.path.expanduser(path)))


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


def _runtime(key: str, found: Found, around: Surroundings) -> Runtime:
    settings = {it.name: found[it.name] for it in RUNTIME if it.name in found}
    if "security_opt" in settings:
        settings["security_opt"] = tuple(_option(key, it, around) for it in settings["security_opt"])
    if "ulimits" in settings:
        settings["ulimits"] = tuple((name, soft, hard) for name, (soft, hard) in settings["ulimits"])
    return Runtime(**settings)


def _option(key: str, option: str, around: Surroundings) -> str:
    """A seccomp profile travels as its text: the engine can't read the laptop's files."""
    name, mark, value = option.partition("=" if "=" in option else ":")
    if name != "seccomp" or not mark or value in ("unconfined", "builtin") or value.startswith("{"):
        return option
    try:
        profile = json.loads(around.read(_absolute(value, around.folder)))
    except OSError as error:
        around.problem(key, "security_opt", _unreadable(value, error))
    except ValueError:
        around.problem(key, "security_opt", f"{value} is no JSON")
    else:
        return f"seccomp={json.dumps(profile, separators=(',', ':'))}"
    return option
