"""The cluster: every object is a plain dict, every error one of ``errors``.

The ``kubernetes`` package's typed models drop the fields that they don't know, so reading a template and
writing it back would change it.  Only its credentials and its connection pool are used here, and JSON passes
unchanged.  The pool blocks, so each request runs in a thread of this module's own (asyncio has few default
threads, and a handful of watches would starve everybody else).

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

from devcluster.edge.kube.answer import ForbiddenError, StatusError, denied, strange
from devcluster.edge.kube.context import Context, kubeconfig_files, read_context
from devcluster.edge.kube.paths import RESOURCES, ApiPath, path_of
from devcluster.edge.kube.transport import READ_TIMEOUT, Ping, Transport, UpgradeTarget
from devcluster.edge.kube.watch import Listing, follow_all, follow_one
from devcluster.errors import ClusterError, NotFoundError

if TYPE_CHECKING:
    from devcluster.edge.kube.credentials import Access, Credentials

__all__ = ["Cluster", "Listing", "UpgradeTarget", "open_cluster"]

Json = dict[str, Any]
PatchType = Literal["json-patch", "merge", "strategic"]

FIELD_MANAGER = "devcluster"

_REVIEWS = RESOURCES["selfsubjectaccessreview"].plural
_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CONTENT = {
    "json-patch": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Cluster:
    """One context of the kubeconfig.  ``namespace``: the one that is meant.  Made by ``open_cluster``."""

    def __init__(self, transport: Transport, context: Context, namespace: str | None) -> None:
        self.transport = transport
        self.context = context.name
        self.namespace = namespace or context.namespace

    @property
    def server(self) -> str:
        """The API server's URL; blocks before the first request."""
        return self.transport.access.server

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Json:
        """NotFoundError where it does not exist."""
        return await self._json("GET", path_of(kind, namespace, name), "get")

    async def find(self, kind: str, name: str, namespace: str | None = None) -> Json | None:
        """Like ``get``; None where it does not exist."""
        with contextlib.suppress(NotFoundError):
            return await self.get(kind, name, namespace)
        return None

    async def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
    ) -> Listing:
        """*namespace* None: all of them.  *selector*: labels; *fields*: a field selector.

        *metadata_only* leaves megabytes of content on the server.
        """
        accept = _METADATA if metadata_only else _JSON
        items: list[Json] = []
        query = {"limit": "500"} | _selectors(selector, fields)
        while True:
            answer = await self._json("GET", path_of(kind, namespace), "list", query=query, accept=accept)
            items += answer.get("items") or []
            proceed = answer["metadata"].get("continue")
            if not proceed:
                break
            query["continue"] = proceed
        resource = RESOURCES[kind]
        for item in items:  # a list leaves them out
            item.setdefault("apiVersion", resource.api_version)
            item.setdefault("kind", resource.kind)
        return Listing(tuple(items), answer["metadata"]["resourceVersion"])

    async def create(
        self,
        kind: str,
        body: Json,
        namespace: str | None = None,
        *,
        manager: str = FIELD_MANAGER,
    ) -> Json:
        """ChangedError where an object of that name exists."""
        resource = RESOURCES[kind]
        body = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        query = {"fieldManager": manager}
        return await self._json("POST", path_of(kind, namespace), "create", query=query, body=body)

    async def patch(
        self,
        kind: str,
        name: str,
        namespace: str | None,
        body: Any,
        *,
        type: PatchType = "merge",
        resource_version: str | None = None,
        dry_run: bool = False,
        manager: str = FIELD_MANAGER,
    ) -> Json:
        """With *resource_version*: ChangedError where somebody has written it since."""
        if resource_version is not None:
            body = _with_version(body, type, resource_version)
        query = {"fieldManager": manager} | _dry(dry_run)
        where = path_of(kind, namespace, name)
        return await self._json("PATCH", where, "patch", query=query, body=body, content=_CONTENT[type])

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
        grace: int | None = None,
    ) -> None:
        """Delete only this object (*uid*), and only if unchanged (*resource_version*); otherwise
        ChangedError.  *grace*: seconds that a pod has to end; None: its own."""
        body: Json = {"propagationPolicy": propagation}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        body["preconditions"] = {key: value for key, value in preconditions.items() if value}
        await self._json("DELETE", path_of(kind, namespace, name), "delete", body=body)

    async def watch_all(
        self, kind: str, namespace: str | None = None, *, selector: str = "", fields: str = ""
    ) -> AsyncGenerator[tuple[Json, ...], None]:
        """All that match, by name: at once, and again after each change."""
        states = follow_all(self, kind, namespace, selector=selector, fields=fields)
        async with contextlib.aclosing(states):
            async for items in states:
                yield items

    async def watch_one(
        self, kind: str, name: str, namespace: str | None = None
    ) -> AsyncGenerator[Json | None, None]:
        """One object, None while it does not exist: at once, and again after each change.  The right to get
        it is enough."""
        states = follow_one(self, kind, name, namespace)
        async with contextlib.aclosing(states):
            async for item in states:
                yield item

    async def pod_logs(
        self, name: str, namespace: str, *, container: str, lines: int = 20, previous: bool = False
    ) -> str:
        """The last *lines*; '' where there is no log (yet)."""
        query = {"container": container, "tailLines": str(lines)} | ({"previous": "true"} if previous else {})
        try:
            data = await self.transport.request(
                "GET", path_of("pod", namespace, name, "log"), "get", query=query
            )
        except StatusError as error:
            if error.status == 400:  # still starting, or it has no former one
                return ""
            raise
        return data.decode("utf-8", "replace")

    async def may(self, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
        """Whether the API server would allow it (SelfSubjectAccessReview).  *resource* like ``pods/log``;
        *name*: the one object that is meant, for Roles with ``resourceNames``."""
        plural, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        answer = await self.create("selfsubjectaccessreview", {"spec": {"resourceAttributes": attributes}})
        return bool(answer["status"]["allowed"])

    async def ping(self) -> Ping:
        """Ask for the version: what it is, how long the answer took, and what time it is there."""
        return await self.transport.ping()

    async def credentials(self) -> Credentials:
        """What kind of credentials we have, without any secret."""
        return await self.transport.credentials()

    async def pod_live(self, name: str, namespace: str, port: int) -> float:
        """Seconds that one request to an agent through the pod proxy takes."""
        where = ApiPath(
            path_of("pod", namespace, f"{name}:{port}", "proxy").path + "/.devcluster/live",
            "pods/proxy",
            namespace,
        )
        began = time.monotonic()
        await self.transport.request("GET", where, "get")
        return time.monotonic() - began

    def distrust(self, moment: float) -> None:
        """See ``Transport.distrust``."""
        self.transport.distrust(moment)

    async def upgrade_target(self) -> UpgradeTarget:
        """How to open a raw connection to the API server.  Its token is fresh, so ask each time."""
        return await self.transport.upgrade_target()

    async def _json(
        self,
        method: str,
        where: ApiPath,
        verb: str,
        *,
        query: dict[str, str] | None = None,
        body: Any = None,
        content: str = _JSON,
        accept: str = _JSON,
    ) -> Json:
        try:
            data = await self.transport.request(
                method, where, verb, query=query, body=body, content=content, accept=accept
            )
        except ForbiddenError as error:
            if method == "GET" or not await self._has_right(error, verb, where):
                raise
            raise denied(error, verb, where) from error
        try:
            answer = json.loads(data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):  # a proxy's or a login's page
            raise strange(self.server, self.context, data)
        return answer

    async def _has_right(self, error: ForbiddenError, verb: str, where: ApiPath) -> bool:
        """Whether we have the right that a refused write needs.  HTTP has one code for a missing right and
        for a policy's refusal, and only the wording differs, which changes; so it is asked."""
        if not error.said or where.resource == _REVIEWS:
            return False
        with contextlib.suppress(ClusterError):
            return await self.may(verb, where.group, where.resource, where.namespace or "", where.name)
        return False


def _selectors(selector: str, fields: str) -> dict[str, str]:
    found = {"labelSelector": selector, "fieldSelector": fields}
    return {key: value for key, value in found.items() if value}


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _with_version(body: Any, type: PatchType, version: str) -> Any:
    if type == "json-patch":
        return [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}, *body]
    return body | {"metadata": body.get("metadata", {}) | {"resourceVersion": version}}


@contextlib.asynccontextmanager
async def open_cluster(
    context: str | None = None, namespace: str | None = None, *, timeout: float = READ_TIMEOUT
) -> AsyncIterator[Cluster]:
    """The cluster of *context* (None: the kubeconfig's current one), and *namespace* in it (None: the
    context's).  This sends no request and runs no exec plugin yet.  ClusterError where the kubeconfig has no
    such context.  *timeout*: the most seconds that an answer may take."""
    threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="kube")
    files = kubeconfig_files()
    transport = Transport(functools.partial(_open_access, files, context), threads, timeout)
    try:
        if (named := read_context(files, context)) is None:
            named = await asyncio.get_running_loop().run_in_executor(threads, _named, transport)
        yield Cluster(transport, named, namespace)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _named(transport: Transport) -> Context:
    """Name the context as the credentials' own reader does, or raise its error."""
    access = transport.access
    return Context(access.context, access.namespace)


def _open_access(files: str, context: str | None) -> Access:
    try:
        from devcluster.edge.kube.credentials import Access
    except ImportError as error:  # pragma: no cover
        raise ClusterError(f"the Python package kubernetes can't be loaded: {error}") from error
    return Access(files, context)
