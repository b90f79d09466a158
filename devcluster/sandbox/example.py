"""``example NAME up|down``: a known application for a cluster that has none.

``up`` ends when its page answers from inside the cluster, asked through the API server's own proxy to the
Service: ready pods alone would not show that Services, names and a database fit together.  ``down`` deletes
the namespace where the example made it, and else only the example's objects in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.errors import ChangedError, FailedError, HeldError, NotFoundError
from devcluster.rules.cluster.identity import WorkloadRef, parse_title
from devcluster.run.report import Progress, Report, silent
from devcluster.sandbox.example_images import ensure_images, example_folder
from devcluster.sandbox.example_objects import (
    BLOG_NAME,
    MADE_ONCE,
    PART_OF,
    WORDPRESS,
    Example,
    ExampleValues,
    describe_pods,
    image_trouble,
    is_ours,
    is_rolled_out,
    outcome_of,
    render_example,
)

Json = dict[str, Any]

_KINDS = ("statefulset", "deployment", "service", "configmap", "secret", "persistentvolumeclaim")
_ASK_EVERY = 0.5  # a Service's address can't be watched, only asked


@dataclass(frozen=True, slots=True)
class ExampleOutcome:
    """``objects``: (kind/name, created | changed | unchanged), in the order of the manifests.
    ``images``: the reference of each, by its name, as the cluster must say it."""

    context: str
    namespace: str
    objects: tuple[tuple[str, str], ...]
    images: Mapping[str, str]
    seconds: float


async def example_up(
    example: Example,
    *,
    context: str | None = None,
    namespace: str,
    registry: str | None = None,
    report: Report = silent,
    timeout: float = 300.0,
) -> ExampleOutcome:
    """Deploy it, or what is missing of it; *timeout* is for the wait, not for building images.

    :raises FailedError: its page does not answer in time, or a node can't get an image.
    :raises HeldError: a workload that should be changed is being worked on; nothing was changed.
    """
    began = time.monotonic()
    async with open_cluster(context, timeout=timeout) as cluster:
        await cluster.ping()  # before minutes are spent on images
        images = await ensure_images(example, cluster.context, registry, report)
        wanted = _objects(example, namespace, images)
        planned = [(one, await _look(cluster, example, one)) for one in wanted]
        objects = [await _apply(cluster, one, outcome, report) for one, outcome in planned]
        try:
            async with asyncio.timeout(timeout):
                await _await_pods(cluster, example, namespace, report)
                report(Progress("", "asking for the front page from inside the cluster"))
                await _await_front_page(cluster, example, namespace)
        except TimeoutError as error:
            raise await _too_late(cluster, example, namespace, timeout) from error
        return ExampleOutcome(cluster.context, namespace, tuple(objects), images, time.monotonic() - began)


def _objects(example: Example, namespace: str, images: Mapping[str, str]) -> tuple[Json, ...]:
    folder = example_folder(example)
    values = ExampleValues(namespace, images)
    if example is WORDPRESS:
        my_cnf = (folder / "mariadb" / "my.cnf").read_text(encoding="utf-8")
        names = ("wordpress_password", "mariadb_password", "mariadb_root_password")
        passwords = {name: secrets.token_urlsafe(12) for name in names}
        values = replace(values, texts={"my_cnf": my_cnf, "blog_name": BLOG_NAME}, passwords=passwords)
    texts = [(folder / "manifests" / name).read_text(encoding="utf-8") for name in example.templates]
    return render_example(example, texts, values)


async def _look(cluster: Cluster, example: Example, wanted: Json) -> str:
    """What is to be done for *wanted*; nothing is written yet.

    :raises FailedError: the object is somebody else's.
    :raises HeldError: devcluster's agent is in it.
    """
    kind, name, namespace = _identity(wanted)
    found = await cluster.find(kind, name, namespace)
    if found is not None and wanted["kind"] not in MADE_ONCE and not is_ours(example, found):
        raise FailedError(
            f"namespace {namespace} has a {kind} {name} that does not belong to this example",
            hint="choose another namespace with -n",
        )
    outcome = outcome_of(wanted, found)
    if outcome == "held":
        raise HeldError(
            f"can't change {kind}/{name} in namespace {namespace} while devcluster's agent is in it",
            hint=f"`devcluster -n {namespace} down` puts it back first",
        )
    return outcome


async def _apply(cluster: Cluster, wanted: Json, outcome: str, report: Report) -> tuple[str, str]:
    kind, name, namespace = _identity(wanted)
    if outcome == "created":
        await cluster.create(kind, wanted, namespace)
    elif outcome == "changed":
        await cluster.patch(kind, name, namespace, wanted)
    report(Progress("", f"{kind}/{name} {outcome}"))
    return f"{kind}/{name}", outcome


def _identity(wanted: Json) -> tuple[str, str, str | None]:
    metadata = wanted["metadata"]
    return wanted["kind"].lower(), metadata["name"], metadata.get("namespace")


async def _await_pods(cluster: Cluster, example: Example, namespace: str, report: Report) -> None:
    """Its workloads rolled out, not just pods ready: those may be old ones.  Each change is reported."""
    ready = asyncio.gather(
        *(_await_rollout(cluster, parse_title(title, namespace)) for title in example.workloads),
    )
    telling = asyncio.ensure_future(_tell_pods(cluster, example.pods, namespace, report))
    try:
        await asyncio.wait((ready, telling), return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            telling.result()  # it only ends by an error
        await ready
    finally:
        ready.cancel()
        telling.cancel()
        await asyncio.gather(ready, telling, return_exceptions=True)


async def _await_rollout(cluster: Cluster, ref: WorkloadRef) -> None:
    async with contextlib.aclosing(cluster.watch_one(*ref.path)) as states:
        async for found in states:
            if found is not None and is_rolled_out(found):
                return


async def _tell_pods(cluster: Cluster, selector: str, namespace: str, report: Report) -> None:
    said = ""
    async with contextlib.aclosing(cluster.watch_all("pod", namespace, selector=selector)) as states:
        async for pods in states:
            trouble = image_trouble(pods)
            if trouble is not None:
                raise FailedError(
                    f"a node can't get the image {trouble[0]}: {trouble[1]}",
                    hint="load it into the cluster's nodes, or push it with --registry PREFIX",
                )
            if (line := describe_pods(pods)) != said:
                report(Progress("", line))
                said = line


async def _await_front_page(cluster: Cluster, example: Example, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/services/{example.page}/proxy/"
    while True:
        answer = await asyncio.to_thread(cluster.transport.send, "GET", path, accept="text/html")
        text = html.unescape(answer.data.decode("utf-8", "replace"))
        if answer.status == 200 and example.page_text in text:
            return
        await asyncio.sleep(_ASK_EVERY)


async def _too_late(cluster: Cluster, example: Example, namespace: str, timeout: float) -> FailedError:
    pods = (await cluster.list("pod", namespace, selector=example.pods)).items
    lines: list[str] = []
    for pod in pods:
        for container in pod["spec"]["containers"]:
            name = pod["metadata"]["name"]
            log = await cluster.pod_logs(name, namespace, container=container["name"], lines=5)
            lines += [f"{name}: {line}" for line in log.splitlines()]
    return FailedError(
        f"the front page does not answer after {timeout:.0f} s: {describe_pods(pods)}",
        hint="\n".join([*lines, f"kubectl -n {namespace} describe pods; --timeout allows more time"]),
    )


async def example_down(
    example: Example,
    *,
    context: str | None = None,
    namespace: str,
    report: Report = silent,
    timeout: float = 300.0,
) -> bool:
    """Remove it and its data; False where there was nothing."""
    async with open_cluster(context, timeout=timeout) as cluster:
        home = await cluster.find("namespace", namespace)
        if home is None:
            return False
        try:
            async with asyncio.timeout(timeout):
                if is_ours(example, home):
                    return await _delete_namespace(cluster, home, report)
                return await _delete_objects(cluster, example, namespace, report)
        except TimeoutError as error:
            raise FailedError(
                f"namespace {namespace} is not empty after {timeout:.0f} s",
                hint=f"kubectl get all,pvc -n {namespace}; then run the same command again",
            ) from error


async def _delete_namespace(cluster: Cluster, home: Json, report: Report) -> bool:
    name = home["metadata"]["name"]
    report(Progress("", f"deleting namespace {name}"))
    with contextlib.suppress(NotFoundError, ChangedError):  # ended meanwhile, or ending already
        await cluster.delete("namespace", name, uid=home["metadata"]["uid"])
    await _await_none(cluster, "namespace", None, fields=f"metadata.name={name}")
    return True


async def _delete_objects(cluster: Cluster, example: Example, namespace: str, report: Report) -> bool:
    """Somebody else's namespace: only what carries the example's label, and the database's claim."""
    selector = f"{PART_OF}={example.part_of}"
    removed = False
    for kind in _KINDS:
        found: Sequence[Json] = (await cluster.list(kind, namespace, selector=selector)).items
        for item in found:
            removed = True
            report(Progress("", f"deleting {kind}/{item['metadata']['name']}"))
            with contextlib.suppress(NotFoundError):
                await cluster.delete(kind, item["metadata"]["name"], namespace, propagation="Foreground")
        await _await_none(cluster, kind, namespace, selector=selector)
    return removed


async def _await_none(
    cluster: Cluster, kind: str, namespace: str | None, *, selector: str = "", fields: str = ""
) -> None:
    watch = cluster.watch_all(kind, namespace, selector=selector, fields=fields)
    async with contextlib.aclosing(watch) as states:
        async for items in states:
            if not items:
                return
