"""Which real databases the local container will use.

Volumes are copies, but what is reached over the network is real: a container under development that migrates
the real database surprises everybody.

Rule: only what is certain.  A variable whose value can be read names a Service of the namespace as a host,
and the port of that Service is a database's.  Values in Secrets are not read, and none is ever shown. The
naive way guesses from the names of variables.  It warns of ``DB_CONNECTION=mysql`` and of unused databases,
until nobody reads warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from devcluster.rules.container.environment import hosts_of
from devcluster.rules.names.variables import COMPARED, OWN

Json = dict[str, Any]

# SQL Server, Oracle, MySQL and MariaDB, PostgreSQL, CouchDB, Redis, Cassandra, Elasticsearch, MongoDB
_PORTS = frozenset({1433, 1521, 3306, 5432, 5984, 6379, 9042, 9200, 27017})
_REFERENCE = re.compile(r"\$\([A-Za-z0-9_.-]+\)")


def find_databases(
    variables: Mapping[str, str], services: Iterable[Json], namespace: str
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each Service with a database's port, and the *variables* that name it; both sorted."""
    names = frozenset(one["metadata"]["name"] for one in services if _is_database(one))
    found: dict[str, list[str]] = {}
    for key, value in sorted(variables.items()):
        short = _short(value, namespace)
        hosts = (host for host in hosts_of(key, short, names) if host.kept not in (COMPARED, OWN))
        for name in {short[host.start : host.end] for host in hosts}:
            found.setdefault(name, []).append(key)
    return tuple((name, tuple(keys)) for name, keys in sorted(found.items()))


def _is_database(service: Json) -> bool:
    return any(port["port"] in _PORTS for port in service["spec"].get("ports") or [])


def _short(value: str, namespace: str) -> str:
    """*value* with Services by their short names, and a word in place of each ``$(NAME)``."""
    full = rf"(?<=[a-z0-9])\.{re.escape(namespace)}(?:\.svc(?:\.[a-z0-9.-]+)?)?\.?(?![\w.-])"
    return re.sub(full, "", _REFERENCE.sub("x", value))
