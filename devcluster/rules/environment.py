"""The local container's environment: the pod's own, with hosts that resolve anywhere, and the file over it.

In the cluster ``db`` resolves because kubelet gives each pod a search list; what hands the name on to
another program, or looks it up elsewhere, needs ``db.shop``.

Rule 1: only names of Services that exist are touched (``hosts`` says where).
Rule 2: a name that is the whole value counts only where its variable says that it is a host; variables
        that name users, passwords, databases or images are left alone.
Rule 3: what the file itself says is not rewritten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase

from devcluster.config.model import Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.hosts import Host, find_hosts, is_list, qualify
from devcluster.rules.settings import find_in_text, names_host, never_host


@dataclass(frozen=True, slots=True)
class RewriteMade:
    """One host that was changed, for ``status``: ``where`` the variable's name.  Never the value."""

    where: str
    service: str
    to: str


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """``variables``: a value None removes what the image sets."""

    variables: tuple[tuple[str, str | None], ...] = field(repr=False)
    rewrites: tuple[RewriteMade, ...] = ()


def rewrite_hosts(
    env: Mapping[str, str],
    *,
    services: Collection[str],
    namespace: str,
    variables: Collection[str] | None = None,
) -> tuple[dict[str, str], tuple[RewriteMade, ...]]:
    """Qualify each host in *env* that names one of *services*; also say which.

    *variables*: only these, and in them each word that is a Service's name counts as a host.
    """
    result: dict[str, str] = {}
    made: list[RewriteMade] = []
    names = frozenset(services)
    for key, value in env.items():
        hosts: tuple[Host, ...] = ()
        if variables is None:
            hosts = hosts_of(key, value, names)
        elif key in variables:
            hosts = find_hosts(value, names, whole=True, every=True)
        result[key] = qualify(value, hosts, namespace) if hosts else value
        found = dict.fromkeys(value[host.start : host.end] for host in hosts)
        made += (RewriteMade(key, name, f"{name}.{namespace}") for name in found)
    return result, tuple(made)


def hosts_of(key: str, value: str, services: frozenset[str]) -> tuple[Host, ...]:
    if never_host(key, value):
        return ()
    listed = find_hosts(value, services, whole=True) if names_host(key) and is_list(value) else ()
    return listed or find_in_text(value, services)


def local_environment(
    facts_env: Sequence[tuple[str, str]], workload: Workload, services: Collection[str], namespace: str
) -> LocalEnvironment:
    """*facts_env* as the agent reports it; ConfigurationError names the variables Docker can't carry."""
    written = dict(workload.environment)
    excluded = [
        name for name, _ in facts_env if any(fnmatchcase(name, pattern) for pattern in workload.env_exclude)
    ]
    pod = {name: value for name, value in facts_env if name not in excluded and name not in written}
    _check(pod)
    made: tuple[RewriteMade, ...] = ()
    if workload.rewrite.environment:
        pod, made = rewrite_hosts(
            pod,
            services=wanted_services(workload, services, namespace),
            namespace=namespace,
            variables=workload.rewrite.variables,
        )
    removed = [(name, None) for name in dict.fromkeys(excluded) if name not in written]
    return LocalEnvironment((*pod.items(), *removed, *written.items()), made)


def wanted_services(workload: Workload, services: Collection[str], namespace: str) -> tuple[str, ...]:
    """``rewrite.services``, checked, or every one."""
    wish = workload.rewrite.services
    if wish is None:
        return tuple(sorted(services))
    for name in wish:
        if name not in services:
            near = get_close_matches(name, sorted(services), 1)
            raise ConfigurationError(
                f"workloads.{workload.key}.rewrite.services: namespace {namespace} has no Service {name}",
                hint=f"did you mean {near[0]}?"
                if near
                else f"it has: {', '.join(sorted(services)) or 'none'}",
            )
    return wish


def _check(pod: Mapping[str, str]) -> None:
    bad = [name for name, value in pod.items() if not _is_text(name) or not _is_text(value)]
    if bad:
        shown = [name.encode("utf-8", "backslashreplace").decode() for name in bad]
        raise ConfigurationError(
            f"Docker can't carry what is not UTF-8: the pod's {', '.join(shown)}",
            hint=f"leave it out with env: {{exclude: [{', '.join(shown)}]}}, or set it under environment",
        )


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
