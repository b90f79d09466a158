"""Which databases the local container will write to, by the variables that lead there.

Volumes are copies; what is reached by the network is the real thing.  A value of the environment may be a
secret, so nothing here says one: names of variables, of Services of the namespace and of objects only.

1. A variable leads to a database where its value is an address, and one of four says so: its form
   (``postgres://HOST``, ``host=… dbname=…``), the port (``:5432``, also in ``DB_PORT`` beside ``DB_HOST``),
   the port of the Service that it names, or the variable's name (``PGHOST``).  A name counts least: a URL
   speaks for itself (``jdbc:h2:mem:x``), and a bare word that is no Service is no address (``disabled``).
2. A value that stands in another object (``secretKeyRef``) leads to one where its variable is called a
   database's address: perhaps to each Service of that engine, or of that name.
3. What an object gives as a whole (``envFrom``) may name any, but an application has one, as a rule, and
   stores beside it.  So it is suspected only where no variable leads to more than such a store.
4. What the file itself says is in place of the template's value, and its owner knows it: it leads to
   something real only where it names a Service of the namespace.

The naive way, the Services whose names stand in a value, misses the database that is somewhere else, and
takes the ``mysql`` of ``DB_CONNECTION=mysql`` for a host.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from devcluster.rules.environment import hosts_of
from devcluster.rules.hosts import find_urls, is_list
from devcluster.rules.settings import names_host, never_host, words_of

Json = dict[str, Any]

_ANY = "a database"
_ENGINES = (  # name, ports, words in schemes and in names of variables
    ("Cassandra", (9042,), ("cassandra",)),
    ("CouchDB", (5984,), ("couchdb",)),
    ("Elasticsearch", (9200,), ("elasticsearch", "elastic", "opensearch")),
    ("Kafka", (9092,), ("kafka",)),
    ("memcached", (11211,), ("memcached", "memcache")),
    ("MongoDB", (27017,), ("mongodb", "mongo")),
    ("MySQL or MariaDB", (3306,), ("mysql", "mysql2", "mysqli", "mariadb")),
    ("Oracle", (1521,), ("oracle",)),
    ("PostgreSQL", (5432,), ("postgres", "postgresql", "pgsql", "pg")),
    ("RabbitMQ", (5671, 5672), ("rabbitmq", "amqp", "amqps")),
    ("Redis", (6379, 6380), ("redis", "rediss", "valkey")),
    ("SQL Server", (1433,), ("sqlserver", "mssql")),
    (_ANY, (), ("db", "database", "datasource", "jdbc", "sql")),
)
_BESIDE = frozenset({"Elasticsearch", "Kafka", "memcached", "RabbitMQ", "Redis"})
_BY_PORT = {port: name for name, ports, _ in _ENGINES for port in ports}
_BY_WORD = {word: name for name, _, words in _ENGINES for word in words}

_WORDS = "|".join(sorted(_BY_WORD, key=len, reverse=True)).upper()
_KEY_WORD = re.compile(rf"(?:^|_)({_WORDS})[0-9]*(?=_|$|HOST|PORT|SERVER|ADDR|URL|URI)")  # PGHOST, too
_LOCATOR = re.compile(  # GEOIP_DB_URL is a file's
    rf"(?:^|_)(?:{_WORDS})[0-9]*(?<!_DB)_?(?:UR[LI]|DSN|CONN(?:ECTION)?_?STR(?:ING)?)_?[0-9]*$|"
    r"^DSN$|^CONNECTION_STRINGS_"
)
_AUTHORITY = re.compile(r"(?:[^/?#\s]*@)?+[\w\[$]")  # none in postgresql:///x?host=/var/run
_URL = re.compile(r"UR[LI]_?[0-9]*$")
_HOST_WORD = re.compile(r"(?:HOST(?:_?NAME)?|SERVER|ADDR(?:ESS)?|ENDPOINT)$")
_PORT = re.compile(r"(?::|(?<=[A-Za-z]),)([0-9]{4,5})(?![\w.-])", re.ASCII)  # SQL Server's has a comma
_BEFORE_PORT = re.compile(r"[^\w.\]-]", re.ASCII)
_STRING = re.compile(
    r"(?=.*\b(?:host|server|data source)\s*=\s*['\"]?[\w\[$])(?=.*\b(?:dbname|database|initial catalog)\s*=)",
    re.IGNORECASE | re.DOTALL,
)
_HERE = re.compile(r"(?<![\w.-])(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|::1)(?![\w.-])", re.IGNORECASE)
_NO_ADDRESS = re.compile(r"(?!localhost$)[\w-]*", re.IGNORECASE)
_REFERENCE = re.compile(r"(?<!\$)\$\(([^()]+)\)")


@dataclass(frozen=True, slots=True)
class Variables:
    """A local container's environment before it is there.  ``known``: values of the template; ``written``: of
    the file, in their place; ``unknown``: names of those whose values stand in another object; ``sources``:
    objects all of whose keys are variables, as ``kind/name``."""

    known: Mapping[str, str] = field(repr=False)
    written: Mapping[str, str] = field(default_factory=dict, repr=False)
    unknown: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lead:
    """``service``: of the namespace, or '' for a database that may be ``elsewhere``, or is none of the
    cluster's.  ``engine``: "a database" where nothing says more."""

    variable: str
    service: str
    engine: str
    elsewhere: bool = False


def read_variables(container: Json, written: Mapping[str, str], excluded: Sequence[str]) -> Variables:
    """Of *container* of a template, with what the file writes over it and takes out of it."""
    known: dict[str, str] = {}
    unknown = []
    for one in container.get("env") or []:
        name = one["name"]
        if any(fnmatchcase(name, pattern) for pattern in excluded):
            continue
        if {"secretKeyRef", "configMapKeyRef"} & (one.get("valueFrom") or {}).keys():
            unknown += [name] if name not in written else []
        elif one.get("value"):
            known[name] = _REFERENCE.sub(lambda match: known.get(match[1], match[0]), one["value"])
    sources = [
        f"{kind}/{one[key]['name']}"
        for one in container.get("envFrom") or []
        for key, kind in (("secretRef", "secret"), ("configMapRef", "configmap"))
        if one.get(key)
    ]
    return Variables(known, written, tuple(sorted(unknown)), tuple(sources))


def find_leads(
    variables: Variables, services: Mapping[str, str], own: Collection[str], namespace: str
) -> tuple[Lead, ...]:
    """What variables lead to.  *services*: the engine of each of the namespace, '' for none; *own*: those
    that lead to the workload itself."""
    found: list[Lead] = []
    values = {**variables.known, **variables.written}
    for key, value in sorted(values.items()):
        if never_host(key, value):
            continue
        engine = _engine(key, value, values)
        if by_file := key in variables.written:
            engine = engine or _engine(key, variables.known.get(key, ""), variables.known) or _by_name(key)
        names = _services(key, value, frozenset(services), namespace)
        for name in sorted(names - set(own)):
            found += [Lead(key, name, services[name] or engine)] if services[name] or engine else []
        if engine and not names and (by_file or not _NO_ADDRESS.fullmatch(value)):
            found.append(Lead(key, "", engine, not by_file and not _HERE.search(value)))
    hidden = ((key, _by_name(key)) for key in variables.unknown)
    return (*found, *(Lead(key, "", engine, elsewhere=True) for key, engine in hidden if engine))


def find_doubts(variables: Variables, leads: Sequence[Lead], service: str, engine: str) -> tuple[str, ...]:
    """What may name this *service*, its value being in another object: variables, or else objects."""
    said = (engine,) if engine in _BESIDE else (engine, _ANY)
    called = f"_{words_of(service)}_"
    hosts = {key for key in variables.unknown if names_host(key) and called in f"_{words_of(key)}"}
    names = [key for key in variables.unknown if key in hosts or _by_name(key) in said]
    suspected = {lead.engine for lead in leads} <= _BESIDE - {engine}
    return tuple(names) or (variables.sources if suspected else ())


def engine_of(service: Json) -> str:
    """What a Service's ports say; '' where they say no database."""
    for port in service["spec"].get("ports") or []:
        for number in (port.get("port"), port.get("targetPort")):
            if number in _BY_PORT:
                return _BY_PORT[number]
    return ""


def _engine_word(key: str) -> str:
    """What a variable's name says; '' where it says no database."""
    found = (_BY_WORD[word.lower()] for word in _KEY_WORD.findall(words_of(key)))
    return min(found, key=_ANY.__eq__, default="")


def _engine(key: str, value: str, known: Mapping[str, str]) -> str:
    """Of the database to which *value* leads: rule 1, but for what a Service says."""
    urls = list(find_urls(value))
    schemes = [value[start : at - 3].lower() for start, at, _ in urls if _AUTHORITY.match(value, at)]
    said = [_BY_WORD[word] for scheme in schemes for word in re.split("[+:]", scheme) if word in _BY_WORD]
    said += [_BY_PORT[port] for port in _ports(value) if port in _BY_PORT]
    said += [_ANY] if _STRING.match(value) else []
    if names_host(key) and not _URL.search(words_of(key)) and not urls and is_list(value):
        said += [_by_sibling(key, known), _engine_word(key)]
    return min(filter(None, said), key=_ANY.__eq__, default="")


def _ports(value: str) -> Iterator[int]:
    """Each behind what may be a host: ``11:3306`` is none."""
    for match in _PORT.finditer(value):
        host = _BEFORE_PORT.split(value[max(0, match.start() - 253) : match.start()])[-1]
        if re.search(r"[A-Za-z.\]]", host):
            yield int(match[1])


def _by_sibling(key: str, known: Mapping[str, str]) -> str:
    """By ``DB_PORT`` beside ``DB_HOST``."""
    wanted = _HOST_WORD.sub("PORT", words_of(key))
    ports = [value for name, value in known.items() if words_of(name) == wanted and value.isdecimal()]
    return next((_BY_PORT[int(port)] for port in ports if int(port) in _BY_PORT), "")


def _by_name(key: str) -> str:
    """Of the database whose address a variable called *key* must hold; '' for none."""
    if _LOCATOR.search(words_of(key)):
        return _engine_word(key) or _ANY
    return _engine_word(key) if names_host(key) and not _URL.search(words_of(key)) else ""


def _services(key: str, value: str, services: frozenset[str], namespace: str) -> set[str]:
    """Those of the namespace that *value* names as hosts, by short or full names."""
    full = rf"(?<=[a-z0-9])\.{re.escape(namespace)}(?:\.svc(?:\.[a-z0-9.-]+)?)?\.?(?![\w.-])"
    short = re.sub(full, "", value) if namespace else value
    return {short[host.start : host.end] for host in hosts_of(key, short, services)}
