"""Finding the workload that the file means, and the pods in which its agent runs."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from devcluster.config.model import Target
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.errors import ConfigurationError, NotFoundError
from devcluster.plan.cluster import AgentPod
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.table import KINDS, kind_of

LISTED = (*KINDS, *(kind for kind in ("statefulset", "daemonset") if kind not in KINDS))
_SOUGHT = (*LISTED, "replicaset")
_BARE = ("pod", "job", "cronjob")


@dataclass(frozen=True, slots=True)
class WorkloadObject:
    """A workload as it stands in the cluster.  ``object``: raw; it may hold values, so no repr."""

    ref: WorkloadRef
    uid: str
    container: str
    object: Json = field(repr=False)

    @property
    def template(self) -> Json:
        template = self.object["spec"]["template"]
        assert isinstance(template, dict)
        return template

    @property
    def replicas(self) -> int:
        return kind_of(self.ref).replicas(self.object)

    @property
    def selector(self) -> str:
        """Its pods' label selector, as a query says it."""
        return render_selector(self.object["spec"]["selector"])


def render_selector(selector: Json) -> str:
    """A LabelSelector as the query parameter."""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or []:
        key, values = item["key"], ",".join(item.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        terms.append(forms.get(item["operator"], f"!{key}"))
    return ",".join(terms)


async def find_workload(cluster: Cluster, target: Target, namespace: str) -> WorkloadObject:
    """The workload that *target* names.  ConfigurationError where there is none, where it can't be said
    which is meant, or where its kind is not built yet."""
    found = await _candidates(cluster, target, namespace)
    if not found:
        raise await _not_found(cluster, target, namespace)
    if len(found) > 1:
        raise ConfigurationError(
            f"{target.name} may mean {', '.join(str(ref) for ref, _ in found)} in namespace {namespace}",
            hint=f"say which: `target: {found[0][0]}`",
        )
    ref, item = found[0]
    if ref.kind in _BARE:
        raise ConfigurationError(
            f"{ref.place} can't be replaced: nothing starts its pods anew",
            hint=f"devcluster replaces {_built()}; put the pod into one",
        )
    _refuse(ref, item)
    return WorkloadObject(ref, item["metadata"]["uid"], _container(item, target, ref), item)


def _refuse(ref: WorkloadRef, item: Json) -> None:
    if ref.kind not in KINDS:
        raise ConfigurationError(f"{ref.place} is a {item['kind']}: not built yet, only {_built()} are")
    if (refusal := kind_of(ref).refuse(item)) is not None:
        raise ConfigurationError(f"{ref.place} {refusal.why}", hint=ref.kubectl(refusal.command))


def _built() -> str:
    return " and ".join(f"{row.title}s" for row in KINDS.values())


async def find_kinds(cluster: Cluster, target: Target, namespace: str) -> tuple[WorkloadRef, ...]:
    """Every workload that *target* may mean, of the kinds that may be read."""
    with contextlib.suppress(ForbiddenError):
        return tuple(ref for ref, _ in await _candidates(cluster, target, namespace))
    return ()


async def _candidates(cluster: Cluster, target: Target, namespace: str) -> list[tuple[WorkloadRef, Json]]:
    if target.kind is not None:
        ref = WorkloadRef(target.kind, namespace, target.name)
        item = await cluster.find(*ref.path)
        return [(ref, item)] if item is not None else []
    found = []
    for kind in (*_SOUGHT, *_BARE):
        try:
            item = await cluster.find(kind, target.name, namespace)
        except ForbiddenError:
            if kind in KINDS:  # the Role gives no more than what can be replaced
                raise
            continue
        if item is not None:
            found.append((WorkloadRef(kind, namespace, target.name), item))
    return found


async def _not_found(cluster: Cluster, target: Target, namespace: str) -> ConfigurationError:
    names = await _names(cluster, namespace)
    wanted = f"{target.kind}/{target.name}" if target.kind else target.name
    if not names:
        await check_namespace(cluster, namespace)
    kinds = target.kind or ", ".join(_SOUGHT)
    short = {name.partition("/")[2]: name for name in names}
    near = [short[name] for name in difflib.get_close_matches(target.name, list(short), n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names[:10]) or 'none'}"
    where = f"namespace {namespace} (context {cluster.context})"
    return ConfigurationError(f"no workload {wanted} in {where}; looked for: {kinds}", hint=hint)


async def check_namespace(cluster: Cluster, namespace: str) -> None:
    """ConfigurationError where it does not exist; rights of one namespace don't tell that of another."""
    with contextlib.suppress(ForbiddenError):
        try:
            await cluster.get("namespace", namespace)
        except NotFoundError as error:
            raise ConfigurationError(
                f"namespace {namespace} does not exist (context {cluster.context})",
                hint="`kubectl get namespaces` lists them; the file's `namespace:` or -n says which",
            ) from error


async def _names(cluster: Cluster, namespace: str) -> list[str]:
    names = []
    for kind in LISTED:
        with contextlib.suppress(ForbiddenError):
            listing = await cluster.list(kind, namespace)
            names += [f"{kind}/{item['metadata']['name']}" for item in listing.items]
    return sorted(names)


def _container(item: Json, target: Target, ref: WorkloadRef) -> str:
    names = [container["name"] for container in item["spec"]["template"]["spec"]["containers"]]
    listed = ", ".join(names)
    if target.container is not None:
        if target.container not in names:
            raise ConfigurationError(
                f"{ref.place} has no container {target.container}",
                hint=f"it has: {listed}",
            )
        return target.container
    if len(names) > 1:
        raise ConfigurationError(
            f"{ref.place} has several containers: {listed}",
            hint=f"say which: `target: {ref}/{names[0]}`",
        )
    return str(names[0])


async def agent_pods(cluster: Cluster, workload: WorkloadObject) -> tuple[AgentPod, ...]:
    """The pods of *workload* in which an agent runs and that are not on their way out, by name."""
    listing = await cluster.list("pod", workload.ref.namespace, selector=workload.selector)
    return tuple(pod for pod in _agents(listing.items) if not pod.ending)


async def watch_agent_pods(
    cluster: Cluster, workload: WorkloadObject
) -> AsyncGenerator[tuple[AgentPod, ...], None]:
    """The same and those that end, at once, and again whenever it changes."""
    last: tuple[AgentPod, ...] | None = None
    states = cluster.watch_all("pod", workload.ref.namespace, selector=workload.selector)
    async with contextlib.aclosing(states):
        async for items in states:
            pods = _agents(items)
            if pods != last:
                last = pods
                yield pods


def _agents(items: tuple[Json, ...]) -> tuple[AgentPod, ...]:
    pods = [
        parse_pod(item)
        for item in items
        if is_wrapped(item) and item.get("status", {}).get("phase") not in ("Failed", "Succeeded")
    ]
    return tuple(sorted(pods, key=lambda pod: pod.name))


def parse_pod(item: Json) -> AgentPod:
    status: Json = item.get("status") or {}
    return AgentPod(
        name=item["metadata"]["name"],
        uid=item["metadata"]["uid"],
        ip=status.get("podIP", ""),
        phase=status.get("phase", "Pending"),
        ending=bool(item["metadata"].get("deletionTimestamp")),
    )
