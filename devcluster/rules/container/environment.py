"""The local container's environment: the pod's own, with hosts that resolve anywhere, and the file over it.

In the cluster ``db`` resolves because kubelet gives each pod a search list; what hands the name on to
another program, or looks it up elsewhere, needs ``db.shop``.

Rule 1: only names of Services that exist are touched (``hosts`` says where).
Rule 2: a name that is the whole value counts only where its variable says that it is a host; variables
        that name users, passwords, databases or images are left alone (``variables``).
Rule 3: a name that is more than a way to an address stays, with the reason: it is compared, a
        certificate holds it, an HTTP server is told of it (``certificates``), also where another variable
        of the same words says so.
Rule 4: NO_PROXY lists what was rewritten, too (``proxies``).
Rule 5: what the file itself says is not rewritten.
Rule 6: what the file excludes, and what is another image's affair (``image_environment``), is left out: then
        Docker shows what the image says.  The naive way, to remove it, leaves a container without a PATH.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from devcluster.config.model import Workload
from devcluster.errors import ConfigurationError
from devcluster.rules.container.environment_formats import is_text
from devcluster.rules.container.image_environment import SAME_IMAGE, ImageEnvironment
from devcluster.rules.names.certificates import Ask, group_of, read_port, read_setting, reason_of
from devcluster.rules.names.hosts import Host, find_hosts, is_list, qualify
from devcluster.rules.names.key_values import asks_in_text, find_in_text
from devcluster.rules.names.proxies import PROXY, extend_lists_in, extend_proxy_list
from devcluster.rules.names.variables import (
    kept_by_name,
    names_host,
    names_proxy_list,
    names_secret,
    never_host,
    words_of,
)


@dataclass(frozen=True, slots=True)
class RewriteMade:
    """One host that was changed, or left, for ``status``: ``where`` the variable's name.  Never the value.

    ``to`` is '' and ``kept`` the reason where it was left."""

    where: str
    service: str
    to: str
    kept: str = ""


@dataclass(frozen=True, slots=True)
class LocalEnvironment:
    """What is handed to the container, or to a process on the laptop; what is not in it is the affair of the
    image, or of the laptop.  ``notes``: what its user must write or know, a line each."""

    variables: tuple[tuple[str, str], ...] = field(repr=False)
    rewrites: tuple[RewriteMade, ...] = ()
    notes: tuple[str, ...] = ()


def rewrite_hosts(
    env: Mapping[str, str],
    *,
    services: Collection[str],
    namespace: str,
    variables: Collection[str] | None = None,
    beside: Mapping[str, str] | None = None,
    elsewhere: Collection[str] = (),
) -> tuple[dict[str, str], tuple[RewriteMade, ...]]:
    """Qualify each host in *env* that names one of *services*; also say which, and which stay and why.

    *variables*: only these, and in them each word that is a Service's name counts as a host.
    *beside*: variables that are not rewritten, for what they say of the others.
    *elsewhere*: names that are rewritten in other places than the environment.
    """
    names = frozenset(services)
    beside = beside or {}
    asks, listed = _asks({**env, **beside}), _listed(beside, names, namespace)
    result: dict[str, str] = {}
    made: dict[RewriteMade, None] = {}
    for key, value in env.items():
        if variables is None:
            hosts = _kept_by_others(key, hosts_of(key, value, names), asks)
            hosts = tuple(_kept_by_file(value, host, listed) for host in hosts)
        else:
            hosts = chosen_hosts(value, names) if key in variables else ()
        result[key] = qualify(value, hosts, namespace)
        made |= dict.fromkeys(describe(key, value, host, namespace) for host in hosts)
    dialled = {it.service for it in made if it.to} | set(elsewhere)
    for key, value in result.items():
        result[key], new = _fit_proxies(key, value, dialled, namespace)
        made |= dict.fromkeys(RewriteMade(key, name, f"{name}.{namespace}") for name in new)
    return result, tuple(made)


def describe(where: str, text: str, host: Host, namespace: str) -> RewriteMade:
    name = text[host.start : host.end]
    return RewriteMade(where, name, "" if host.kept else f"{name}.{namespace}", host.kept)


def chosen_hosts(value: str, services: frozenset[str]) -> tuple[Host, ...]:
    """Each of *services* in a value that its owner has chosen: no reason keeps one."""
    found = find_hosts(value, services, whole=True, every=True)
    return tuple(replace(host, kept="") for host in found)


def hosts_of(key: str, value: str, services: frozenset[str]) -> tuple[Host, ...]:
    """The hosts in one variable, as far as it tells by itself."""
    if never_host(key, value):
        return ()
    reason = kept_by_name(key)
    whole = (reason or names_host(key)) and is_list(value)
    listed = find_hosts(value, services, whole=True) if whole else ()
    hosts = listed or find_in_text(value, services)
    return tuple(replace(host, kept=reason or host.kept) for host in hosts)


def _asks(env: Mapping[str, str]) -> tuple[tuple[str, Ask], ...]:
    """What each variable says of the hosts of others: ``DB_SSLMODE``, and ``DB_OPTIONS`` by what is in it."""
    readable = {key: value for key, value in env.items() if not names_secret(key)}
    found = [
        (key, ask)
        for key, value in readable.items()
        for read in (read_setting, read_port)
        if (ask := read(key, value)) is not None
    ]
    for key, value in readable.items():
        own = group_of(words_of(key))
        found += [(key, Ask(own, ask.reason)) for ask in asks_in_text(value) if not ask.group]
    return tuple(found)


def _kept_by_others(key: str, hosts: tuple[Host, ...], asks: Sequence[tuple[str, Ask]]) -> tuple[Host, ...]:
    words = words_of(key)
    reason = reason_of(ask for other, ask in asks if other != key and ask.covers(words)) if hosts else ""
    return tuple(replace(host, kept=host.kept or reason) for host in hosts)


def _kept_by_file(value: str, host: Host, listed: Collection[str]) -> Host:
    return replace(host, kept=host.kept or (PROXY if value[host.start : host.end] in listed else ""))


def _listed(beside: Mapping[str, str], names: Collection[str], namespace: str) -> frozenset[str]:
    """Of *names* those that a list of the file's own leads past a proxy: it is not rewritten."""
    lists = (_fit_proxies(key, value, names, namespace) for key, value in beside.items())
    return frozenset(name for _, found in lists for name in found)


def _fit_proxies(key: str, value: str, names: Collection[str], namespace: str) -> tuple[str, tuple[str, ...]]:
    if not names or names_secret(key):
        return value, ()
    if names_proxy_list(key):
        return extend_proxy_list(value, names, namespace)
    return extend_lists_in(value, names, namespace)


def render_hint(environment: Sequence[RewriteMade], files: Sequence[RewriteMade] = ()) -> str:
    """What to try where the local container does not get healthy; '' where nothing was rewritten."""
    changed = [f"{it.where} ({it.service} -> {it.to})" for it in (*environment, *files) if it.to]
    if not changed:
        return ""
    more = f" and {len(changed) - 6} more" if len(changed) > 6 else ""
    off = "`rewrite: {environment: false}` turns that off"
    if any(it.to for it in files):
        off += ", for files the `rewrite` of their volume does"
    return f"names were rewritten in {', '.join(changed[:6])}{more}; {off}"


def local_environment(
    facts_env: Sequence[tuple[str, str]],
    workload: Workload,
    services: Collection[str],
    namespace: str,
    images: ImageEnvironment = SAME_IMAGE,
) -> LocalEnvironment:
    """*facts_env* as the agent reports it; ConfigurationError names the variables Docker can't carry."""
    written = dict(workload.environment)
    pod = {
        name: value
        for name, value in facts_env
        if name not in written
        and not any(fnmatchcase(name, pattern) for pattern in workload.env_exclude)
        and not images.gives_way(name, value)
    }
    _check(pod)
    made: tuple[RewriteMade, ...] = ()
    if workload.rewrite.environment:
        wanted = rewritable_services(workload, services, namespace)
        pod, made = rewrite_hosts(
            pod,
            services=wanted,
            namespace=namespace,
            variables=workload.rewrite.variables,
            beside=written,
            elsewhere=wanted if any(rule.rewrite for rule in workload.volumes) else (),
        )
    return LocalEnvironment((*pod.items(), *written.items()), made)


def rewritable_services(workload: Workload, services: Collection[str], namespace: str) -> tuple[str, ...]:
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
    bad = [name for name, value in pod.items() if not is_text(name + value)]
    if bad:
        shown = [name.encode("utf-8", "backslashreplace").decode() for name in bad]
        raise ConfigurationError(
            f"Docker can't carry what is not UTF-8: the pod's {', '.join(shown)}",
            hint=f"leave it out with env: {{exclude: [{', '.join(shown)}]}}, or set it under environment",
        )
