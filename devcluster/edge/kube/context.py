"""Which context is meant, and its namespace, read from the kubeconfig alone.

The project's name in Docker and the host process's socket depend on nothing else.  So `status`, `logs` and a
second `up` need not import ``kubernetes`` (half a second), nor run an exec plugin that asks for a login.  Of
several files the first that sets a value wins, as with kubectl; the ``kubernetes`` package takes the last
one's current context.

Source: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Json = dict[str, Any]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Context:
    """``namespace``: the context's own, else ``default``."""

    name: str
    namespace: str


def kubeconfig_files() -> str:
    """The files that KUBECONFIG names."""
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


def read_context(files: str, wanted: str | None) -> Context | None:
    """The context *wanted* (None: the current one) of *files* (as in KUBECONFIG).  None where they have no
    such context or can't be read; ``credentials`` then says why."""
    try:
        documents = list(_read(files))
        current = (str(it["current-context"]) for it in documents if it.get("current-context"))
        name = wanted or next(current, None)
        known = [entry for it in documents for entry in it.get("contexts") or ()]
        found = next((entry["context"] for entry in known if entry["name"] == name), None)
        return Context(str(name), str(found.get("namespace") or "default")) if found else None
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return None


def _read(files: str) -> Iterator[Json]:
    for path in files.split(os.pathsep):
        path = os.path.expanduser(path)
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                yield yaml.load(file, _Loader) or {}  # noqa: S506  # a safe loader, the quicker one
