"""Finding the workload that the file means, and the pods that run its agent."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from devcluster.config.model import Target
from devcluster.edge.kube.answer import ForbiddenError
from devcluster.edge.kube.cluster import Cluster, Json
from devcluster.errors import ConfigurationError, NotFoundError
from devcluster.rules.agent.agent_pod import AgentPod
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.cluster.template import is_wrapped
from devcluster.rules.kinds.pods import is_ready
from devcluster.rules.kinds.refused import REFUSED, why_refused
from devcluster.rules.kinds.table import KINDS, kind_of


@dataclass(frozen=True, slots=True)
class WorkloadObject:
    """A workload as it is in the cluster.  ``object`` is raw; it may hold values, so it has no repr."""

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
    """The workload that *target* names.  ConfigurationError where there is none, where several could be
    meant, or where it can have no agent."""
    found = await _candidates(cluster, target, namespace)
    if not found:
        raise await _not_found(cluster, target, namespace)
    if len(found) > 1:
        raise ConfigurationError(
            f"{target.name} may mean {', '.join(str(ref) for ref, _ in found)} in namespace {namespace}",
            hint=f"say which: `target: {found[0][0]}`",
        )
    ref, item = found[0]
    if ref.kind not in KINDS:
        message, hint = why_refused(ref, await _owner(cluster, ref, item))
        raise ConfigurationError(message, hint=hint)
    if (refusal := kind_of(ref).refuse(item)) is not None:
        raise ConfigurationError(f"{ref.full_name} {refusal.why}", hint=ref.kubectl(refusal.command))
    return WorkloadObject(ref, item["metadata"]["uid"], _container(item, target, ref), item)


async def _owner(cluster: Cluster, ref: WorkloadRef, item: Json) -> WorkloadRef | None:
    """What controls it in the end, as far as that may be read; None where nothing does."""
    owners = item["metadata"].get("ownerReferences") or []
    owner = next((one for one in owners if one.get("controller")), None)
    if owner is None:
        return None
    above = WorkloadRef(owner["kind"].lower(), ref.namespace, owner["name"])
    with contextlib.suppress(ForbiddenError):
        if above.kind in REFUSED and (found := await cluster.find(*above.path)) is not None:
            return await _owner(cluster, above, found) or above
    return above


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
    found: list[tuple[WorkloadRef, Json]] = []
    refused: list[ForbiddenError] = []
    for kind in (*KINDS, *REFUSED):
        if kind in REFUSED and found:
            break
        try:
            item = await cluster.find(kind, target.name, namespace)
        except ForbiddenError as error:  # a Role may be for one kind alone
            refused += [error] if kind in KINDS else []
            continue
        if item is not None:
            found.append((WorkloadRef(kind, namespace, target.name), item))
    if refused and not found:
        raise refused[0]
    return found


async def _not_found(cluster: Cluster, target: Target, namespace: str) -> ConfigurationError:
    names = await _names(cluster, namespace)
    wanted = f"{target.kind}/{target.name}" if target.kind else target.name
    if not names:
        await check_namespace(cluster, namespace)
    if (whole := _without_ordinal(target)) in names:
        return ConfigurationError(
            f"statefulset/{target.name} is one pod of {whole}: a single ordinal is not built yet",
            hint=f"write `target: {whole}`",
        )
    kinds = target.kind or ", ".join(KINDS)
    short = sorted({name.partition("/")[2] for name in names})
    close = difflib.get_close_matches(target.name, short, n=3, cutoff=0.5)
    near = [name for one in close for name in names if name.partition("/")[2] == one]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names[:10]) or 'none'}"
    where = f"namespace {namespace} (context {cluster.context})"
    return ConfigurationError(f"no workload {wanted} in {where}; looked for: {kinds}", hint=hint)


def _without_ordinal(target: Target) -> str:
    """The StatefulSet whose pod *target* would be; '' if it can be none."""
    name, _, ordinal = target.name.rpartition("-")
    return f"statefulset/{name}" if ordinal.isdecimal() and target.kind in (None, "statefulset") else ""


async def check_namespace(cluster: Cluster, namespace: str) -> None:
    """ConfigurationError where it does not exist.  Rights in one namespace tell nothing of another."""
    with contextlib.suppress(ForbiddenError):
        try:
            await cluster.get("namespace", namespace)
        except NotFoundError as error:
            raise ConfigurationError(
                f"namespace {namespace} does not exist (context {cluster.context})",
                hint="`kubectl get namespaces` lists them; the file's `namespace:` or -n says which",
            ) from error


async def list_all(cluster: Cluster, namespace: str) -> list[tuple[WorkloadRef, Json]]:
    """Every workload that can have an agent, kind by kind.  ForbiddenError where no kind may be listed."""
    found: list[tuple[WorkloadRef, Json]] = []
    refused: list[ForbiddenError] = []
    for kind in KINDS:
        try:
            items = (await cluster.list(kind, namespace)).items
        except ForbiddenError as error:  # a Role may be for one kind alone
            refused.append(error)
            continue
        found += [(WorkloadRef(kind, namespace, item["metadata"]["name"]), item) for item in items]
    if len(refused) == len(KINDS):
        raise refused[0]
    return found


async def _names(cluster: Cluster, namespace: str) -> list[str]:
    with contextlib.suppress(ForbiddenError):
        return sorted(str(ref) for ref, _ in await list_all(cluster, namespace))
    return []


def _container(item: Json, target: Target, ref: WorkloadRef) -> str:
    names = [container["name"] for container in item["spec"]["template"]["spec"]["containers"]]
    listed = ", ".join(names)
    if target.container is not None:
        if target.container not in names:
            raise ConfigurationError(
                f"{ref.full_name} has no container {target.container}",
                hint=f"it has: {listed}",
            )
        return target.container
    if len(names) > 1:
        raise ConfigurationError(
            f"{ref.full_name} has several containers: {listed}",
            hint=f"say which: `target: {ref}/{names[0]}`",
        )
    return str(names[0])


async def agent_pods(cluster: Cluster, workload: WorkloadObject) -> tuple[AgentPod, ...]:
    """The pods of *workload* that run an agent and are not ending, by name."""
    listing = await cluster.list("pod", workload.ref.namespace, selector=workload.selector)
    return tuple(pod for pod in _agents(listing.items) if not pod.ending)


async def watch_agent_pods(
    cluster: Cluster, workload: WorkloadObject
) -> AsyncGenerator[tuple[AgentPod, ...], None]:
    """The same, and those that are ending: at once, and again after each change."""
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
    return tuple(sorted(pods, key=lambda pod: (len(pod.name), pod.name)))  # web-2 before web-10


def parse_pod(item: Json) -> AgentPod:
    status: Json = item.get("status") or {}
    return AgentPod(
        name=item["metadata"]["name"],
        uid=item["metadata"]["uid"],
        ip=status.get("podIP", ""),
        phase=status.get("phase", "Pending"),
        ending=bool(item["metadata"].get("deletionTimestamp")),
        ready=is_ready(item),
    )
