"""What is wrong with a kubeconfig, said before the ``kubernetes`` package reads it.

The package fails on what it does not expect (a list, text that is not YAML, data that is not base64), and it
has the same message for a missing entry and a missing context.  No value is shown, only keys and names, since
some of the values are tokens and keys.

Source: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import os
from typing import Any
from urllib.parse import urlsplit

import yaml

from devcluster.errors import ClusterError

Json = dict[str, Any]
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SECTIONS = {"contexts": "context", "clusters": "cluster", "users": "user"}
_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")
_FILES = ("certificate-authority", "client-certificate", "client-key")


def check_kubeconfig(files: str, wanted: str | None) -> None:
    """ClusterError unless the context *wanted* (None: the current one) of *files* (as in KUBECONFIG) is
    complete."""
    paths = [os.path.expanduser(path) for path in files.split(os.pathsep) if path]
    documents = [_read(path) for path in paths if os.path.exists(path)]
    if not documents:
        raise ClusterError(
            f"no kubeconfig: {files} does not exist",
            hint="`devcluster sandbox up` gives you a cluster of your own; or set KUBECONFIG",
        )
    current = next((str(it["current-context"]) for it in documents if it.get("current-context")), None)
    name = wanted or current
    contexts = _entries(documents, "contexts")
    if name is None or name not in contexts:
        told = name or "(no current one is set)"
        raise ClusterError(
            f"the kubeconfig has no usable context {told}",
            hint=f"it has: {_names(contexts)}; name one with --context or `context:`",
        )
    context = contexts[name]
    for key in ("cluster", "user"):
        if isinstance(context.get(key), dict | list):
            raise ClusterError(
                f"the kubeconfig's context {name} is not usable: `{key}` is not a name", hint=_WRITE
            )
    clusters, users = _entries(documents, "clusters"), _entries(documents, "users")
    if context.get("cluster") not in clusters:
        raise _missing(name, context, "cluster", clusters)
    if context.get("user") and context["user"] not in users:
        raise _missing(name, context, "user", users)
    cluster = clusters[context["cluster"]]
    _check_server(str(context["cluster"]), cluster)
    _check_data(f"cluster {context['cluster']}", cluster)
    _check_data(f"user {context.get('user')}", users.get(context.get("user"), {}))


def _read(path: str) -> Json:
    try:
        with open(path, encoding="utf-8") as file:
            found = yaml.load(file, _Loader)  # noqa: S506  # a safe loader, the quicker one
    except OSError as error:
        raise ClusterError(f"the kubeconfig {path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        seen = f"it is not UTF-8 (byte {error.object[error.start]:#04x})"
        raise ClusterError(f"the kubeconfig {path} can't be read: {seen}", hint=_WRITE) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", in line {mark.line + 1}" if mark else ""
        raise ClusterError(
            f"the kubeconfig {path} can't be read: it is not YAML{where}", hint=_WRITE
        ) from error
    if not isinstance(found, dict):
        seen = {list: "a list", str: "a text", type(None): "nothing"}.get(type(found), "a single value")
        raise ClusterError(f"{path} is not a kubeconfig: expected a map, found {seen}", hint=_WRITE)
    for section, key in _SECTIONS.items():
        _check_section(path, section, key, found.get(section))
        for entry in found.get(section) or ():
            _resolve(os.path.dirname(path), entry.get(key) or {})
    return found


def _resolve(folder: str, entry: Json) -> None:
    """Make the paths of its files absolute; they are relative to the kubeconfig."""
    for key in _FILES:
        if isinstance(entry.get(key), str):
            entry[key] = os.path.join(folder, entry[key])


_WRITE = "get one from your cluster's provider, or name another file in KUBECONFIG"


def _check_section(path: str, section: str, key: str, entries: Any) -> None:
    for entry in [entries] if not isinstance(entries, list | None) else entries or ():
        named = isinstance(entry, dict) and isinstance(entry.get("name"), str | int | float)
        if not named or not isinstance(entry.get(key), dict | None):
            raise ClusterError(
                f"{path} is not a kubeconfig: `{section}` is not a list of maps with `name` and `{key}`",
                hint=_WRITE,
            )


def _entries(documents: list[Json], section: str) -> dict[Any, Json]:
    """By name; of two with the same name the first counts."""
    found: dict[Any, Json] = {}
    for document in documents:
        for entry in document.get(section) or ():
            found.setdefault(entry["name"], entry.get(_SECTIONS[section]) or {})
    return found


def _names(entries: dict[Any, Json]) -> str:
    return ", ".join(sorted(str(name) for name in entries)) or "none"


def _missing(name: str, context: Json, kind: str, known: dict[Any, Json]) -> ClusterError:
    asked = context.get(kind)
    seen = f"it names the {kind} {asked}, but `{kind}s` has no such entry" if asked else f"it names no {kind}"
    return ClusterError(
        f"the kubeconfig's context {name} is not usable: {seen}",
        hint=f"it has: {_names(known)}; `kubectl config set-context {name} --{kind} NAME` names another",
    )


def _check_server(name: str, cluster: Json) -> None:
    try:
        url = urlsplit(str(cluster.get("server") or ""))
        whole = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a port that is none
        whole = False
    if not whole:
        raise ClusterError(
            f"the kubeconfig's cluster {name} is not usable: `server` is not an http:// or https:// address",
            hint=f"`kubectl config set-cluster {name} --server https://HOST:PORT` sets it",
        )


def _check_data(what: str, entry: Json) -> None:
    for key in _FILES:
        file = entry.get(key)
        if isinstance(file, str) and not entry.get(f"{key}-data") and not os.path.isfile(file):
            raise ClusterError(f"the kubeconfig's {what} is not usable: `{key}`: {file} does not exist")
    for key in _DATA:
        try:
            base64.standard_b64decode(entry.get(key) or "")
        except (ValueError, TypeError) as error:
            raise ClusterError(f"the kubeconfig's {what} is not usable: `{key}` is not base64") from error
