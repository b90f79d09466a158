"""The environment of a process on the laptop: what it dials in the cluster, by tunnels on 127.0.0.1.

Outside the cluster neither ``db`` nor ``db.shop`` resolves, and a ClusterIP leads nowhere.  Where a tunnel
leads to the Service its ``127.0.0.1:PORT`` takes the place of the name and of the ClusterIP.

Rules:
- a host counts where it is dialled (``hosts``), http and TLS included: the wrong name is better than none;
- where the port is beside the host, both are replaced; a URL without a port gets one;
- a port in a variable of its own (``DB_PORT``) is not changed: the tunnel must have its number, and where the
  file itself sets that variable, its number is the laptop's;
- what is dialled and has no tunnel is named, with the line to write.

The naive way, to replace the name wherever it occurs, breaks issuers, passwords and databases.  So hosts are
found by the rule that rewrites names in a container, which knows short names alone.  Before it looks, every
other way to write a Service becomes a word of the same length: what it finds is at the same place.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from devcluster.config.model import render_address
from devcluster.rules.container.environment import RewriteMade, chosen_hosts, hosts_of
from devcluster.rules.names.hosts import Host, find_urls
from devcluster.rules.names.service_names import ServiceNames, ServiceSight
from devcluster.rules.names.variables import COMPARED, OWN, names_proxy_list, words_of

LOOPBACK = "127.0.0.1"
_PORT = re.compile(r":([0-9]{1,5})(?![0-9])", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,5}", re.ASCII)
_HOST_WORD = re.compile(r"(?:HOST|HOSTNAME|SERVER|ADDR|ADDRESS|ENDPOINT|URL|URI)_?[0-9]*$")
_PRIVILEGED, _UNPRIVILEGED = 1024, 10_000
_SCHEMES = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@dataclass(frozen=True, slots=True)
class OpenTunnel:
    """``host:port``, as the pod reaches it, is port ``local`` of the laptop's 127.0.0.1."""

    host: str
    port: int
    local: int

    def __str__(self) -> str:
        return f"{LOOPBACK}:{self.local} -> {self.to}"

    @property
    def to(self) -> str:
        return render_address(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Tunnelled:
    """``notes``: what its user must write or know, a line each; names of variables, never a value."""

    variables: dict[str, str] = field(repr=False)
    made: tuple[RewriteMade, ...] = ()
    notes: tuple[str, ...] = ()


def use_tunnels(
    env: Mapping[str, str],
    *,
    services: Sequence[ServiceSight],
    namespace: str,
    domains: Collection[str],
    tunnels: Sequence[OpenTunnel],
    only: Collection[str] | None = None,
    left: Collection[str] = (),
    beside: Mapping[str, str] | None = None,
) -> Tunnelled:
    """*env* with tunnels in place of what they lead to.  *domains*: the cluster's own; *only*: just these
    variables, in which each word that is a Service's name counts as a host; *left*: Services that don't
    count; *beside*: what the file sets."""
    hosts = [tunnel.host for tunnel in tunnels]
    names = ServiceNames(services, namespace, domains, hosts=hosts, texts=env.values(), left=left)
    ways: dict[str, list[OpenTunnel]] = {}
    for tunnel in tunnels:
        ways.setdefault(names.own_name(tunnel.host), []).append(tunnel)
    links = frozenset(_link_words(service.name) for service in services)
    work = _Environment(env, beside or {}, names, ways, links, only)
    variables = {key: work.replaced(key, value) for key, value in env.items()}
    variables |= {key: work.fit_proxies(value) for key, value in variables.items() if names_proxy_list(key)}
    return Tunnelled(variables, tuple(dict.fromkeys(work.made)), work.notes())


def _link_words(service: str) -> str:
    """How kubelet's own variables of a Service begin: it makes them for every Service, dialled or not.

    Source: https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables
    """
    return re.sub("[^A-Z0-9]", "_", service.upper())


class _Environment:
    """One environment."""

    def __init__(
        self,
        env: Mapping[str, str],
        beside: Mapping[str, str],
        names: ServiceNames,
        ways: Mapping[str, Sequence[OpenTunnel]],
        links: frozenset[str],
        only: Collection[str] | None,
    ) -> None:
        self.made: list[RewriteMade] = []
        self._env, self._beside, self._only = env, beside, only
        self._names, self._ways, self._links = names, ways, links
        self._missing: dict[str, dict[str, None]] = {}  # by the line to write: variables
        self._apart: list[str] = []

    def notes(self) -> tuple[str, ...]:
        lines = (_no_tunnel(line, tuple(keys)) for line, keys in sorted(self._missing.items()))
        return (*lines, *self._apart)

    def replaced(self, key: str, value: str) -> str:
        text, meant = self._names.plain(value)
        parts, at = [], 0
        for host in self._hosts(key, text, frozenset(meant)):
            name = meant[text[host.start : host.end]]
            if host.kept in (COMPARED, OWN):
                self.made.append(RewriteMade(key, name, "", host.kept))
                continue
            start, end = _span(value, host)
            end, new = self._dialled(key, value, host, name, end)
            if new:
                parts += [value[at:start], new]
                at = end
        return "".join(parts) + value[at:]

    def fit_proxies(self, value: str) -> str:
        """A list of what is reached without a proxy has 127.0.0.1, too, where it had what leads there now."""
        text, meant = self._names.plain(value)
        listed = {meant.get(word) for word in re.findall(r"[a-z0-9-]+", text)}
        if LOOPBACK in value or not listed & {it.service for it in self.made if it.to}:
            return value
        comma = next((mark for mark in ",|;" if mark in value), ",")
        return f"{value}{comma}{LOOPBACK}"

    def _hosts(self, key: str, text: str, names: frozenset[str]) -> tuple[Host, ...]:
        if self._only is None:
            return hosts_of(key, text, names)
        return chosen_hosts(text, names) if key in self._only else ()

    def _dialled(self, key: str, value: str, host: Host, name: str, end: int) -> tuple[int, str]:
        """Where what is replaced ends, and what replaces it: '' where nothing does."""
        found = _PORT.match(value, end)
        scheme = _scheme_of(value, host)
        whole = bool(found or (scheme is not None and value[end:]))  # nobody puts a port into it any more
        variable = "" if whole else self._port_variable(key)
        here = int(self._beside[variable]) if variable in self._beside else None
        there = int(self._env[variable]) if variable in self._env else None
        port = int(found[1]) if found else there or _SCHEMES.get(scheme or "")
        tunnel = self._choose(name, None if here else port, here)
        if tunnel is None:
            self._miss(key, name, port, fixed=bool(variable) or (not found and scheme is None))
            return end, ""
        address = f"{LOOPBACK}:{tunnel.local}"
        self.made.append(RewriteMade(key, name, address))
        if found or (scheme is not None and not variable):
            return found.end() if found else end, address
        self._compare(key, variable, tunnel, here)
        return end, LOOPBACK

    def _choose(self, name: str, port: int | None, here: int | None) -> OpenTunnel | None:
        fits = [it for it in self._ways.get(name, ()) if port in (None, it.port)]
        return next((it for it in fits if it.local == here), fits[0] if fits else None)

    def _port_variable(self, key: str) -> str:
        """``DB_PORT`` of ``DB_HOST``, if it holds a port; '' where there is none."""
        wanted = _HOST_WORD.sub("PORT", words_of(key))
        for other, value in (*self._env.items(), *self._beside.items()):
            named = words_of(other) in (wanted, f"{wanted}_NUMBER")  # Bitnami's charts
            if named and _NUMBER.fullmatch(value) and other != key:
                return other
        return ""

    def _miss(self, key: str, name: str, port: int | None, *, fixed: bool) -> None:
        """*fixed*: the program takes the port from elsewhere, so the tunnel needs the same."""
        ports = self._names.ports_of(name)
        if ports == () or self._is_link(key):
            return
        there = port if ports is None or port in ports else ports[0]  # another number is the value's own
        line = f'"{name}:{there or "PORT"}"'
        if fixed and there is not None and there >= _PRIVILEGED:
            line = f'"{there}:{name}:{there}"'
        self.made.append(RewriteMade(key, name, "", f"no tunnel leads to it: write {line} under `tunnels`"))
        self._missing.setdefault(line, {})[key] = None

    def _is_link(self, key: str) -> bool:
        head = re.fullmatch(r"(.+?)_(?:SERVICE_HOST|PORT|PORT_[0-9]+_[A-Z]+(?:_ADDR)?)", key)
        return head is not None and head[1] in self._links

    def _compare(self, key: str, variable: str, tunnel: OpenTunnel, here: int | None) -> None:
        """*here*: the port that the file has in *variable*."""
        if tunnel.local == (here or tunnel.port) or self._is_link(key):
            return
        port = tunnel.port
        if here:
            must = f"{variable} under `environment` must be its tunnel's port, {tunnel.local}"
            self._apart.append(f"{key} is {LOOPBACK} now, so {must}")
            return
        where = f"{variable} has" if variable else "its program dials"
        what = f'"{port}:{tunnel.to}" under `tunnels`'
        if port < _PRIVILEGED and variable:
            free = _UNPRIVILEGED + port
            what = f'"{free}:{tunnel.to}" under `tunnels`, and {variable}: "{free}" under `environment`'
        self._apart.append(
            f"{key} is {LOOPBACK} now, and {where} the port of {tunnel.host}, {port}, but the tunnel is on "
            f"{tunnel.local}: write {what}"
        )


def _no_tunnel(line: str, keys: tuple[str, ...]) -> str:
    verb = "dials" if len(keys) == 1 else "dial"
    return f"{', '.join(keys)} {verb} what no tunnel leads to: write {line} under `tunnels`"


def _span(text: str, host: Host) -> tuple[int, int]:
    """Where *host* is, with the brackets of an IPv6 address."""
    framed = ":" in text[host.start : host.end] and text[host.start - 1 : host.start] == "["
    return (host.start - 1, host.end + 1) if framed else (host.start, host.end)


def _scheme_of(text: str, host: Host) -> str | None:
    """Of the URL whose host *host* is; None elsewhere, also in a query (``?host=db``)."""
    for scheme, start, end in find_urls(text):
        if start <= host.start < end and not re.search(r"[/?#;]", text[start : host.start]):
            return text[scheme : start - 3].lower().rpartition(":")[2]
    return None
