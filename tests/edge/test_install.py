"""The agent into a real Deployment and out again, on a real cluster.

What is compared is the whole spec, the history and who owns which field, before and after.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devcluster.config.model import Target
from devcluster.edge.kube.agent import load_binary
from devcluster.edge.kube.answer import StatusError
from devcluster.edge.kube.cluster import open_cluster
from devcluster.edge.kube.workload import agent_pods, find_workload
from devcluster.errors import ClusterError, FailedError, HeldError
from devcluster.plan.serving import plan_serving
from devcluster.rules.cluster.architecture import render_doubt
from devcluster.rules.cluster.marks import Holder
from devcluster.run.cluster.install import BusyError, install
from devcluster.run.cluster.record import acquire, find_mark, list_marks, relinquish
from devcluster.run.cluster.remove import remove
from devcluster.run.report import Progress
from devcluster.run.turn import Turn
from tests.edge.cluster_world import (
    FACTS,
    IMAGE,
    World,
    deployment,
    token_of,
    write_config,
)

Json = dict[str, Any]


class Killed(BaseException):
    """Stands for ``kill -9``: nothing may catch it."""


def kill_at(step: int) -> Callable[[Progress], None]:
    """A report that ends the process's life when that step is about to begin."""
    seen: list[Progress] = []

    def report(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == step:
            raise Killed

    return report


def owners(item: Json) -> str:
    """Who owns which field of the spec; the controllers' status is none of ours."""
    entries = item["metadata"]["managedFields"]
    mine = [entry for entry in entries if entry["manager"] != "kube-controller-manager"]
    return json.dumps(mine, sort_keys=True)


async def services(world: World) -> list[tuple[Any, str]]:
    listing = await world.cluster.list("service", world.namespace)
    return [(item["spec"], owners(item)) for item in listing.items]


async def assert_original(world: World, before: Json, history: Any, led: Any) -> None:
    after = await world.cluster.get("deployment", before["metadata"]["name"], world.namespace)
    assert after["spec"] == before["spec"]
    assert owners(after) == owners(before)
    assert await world.history() == history
    assert await services(world) == led
    assert await world.ours() == []


@pytest.mark.parametrize("strategy", ["Recreate", pytest.param("RollingUpdate", marks=pytest.mark.slow)])
async def test_there_and_back(world: World, strategy: str) -> None:
    before = await world.deploy(strategy=strategy)
    history, led = await world.history(), await services(world)
    installed = await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    assert installed.laptop_key.startswith("-----BEGIN PRIVATE KEY")
    assert "PRIVATE" not in repr(installed)
    workload = await find_workload(world.cluster, Target("web"), world.namespace)
    assert [pod.phase for pod in await agent_pods(world.cluster, workload)] == ["Running"]
    number = await world.cluster.get("service", "web-number", world.namespace)
    assert number["spec"]["ports"][0]["targetPort"] == 47100
    removal = await remove(world.cluster, world.ref(), Turn.of(300))
    assert (removal.found, removal.kept) == (True, ())
    await assert_original(world, before, history, led)
    again = await remove(world.cluster, world.ref(), Turn.of(300))
    assert not again.found


async def test_the_images_command_arrives_as_it_is(world: World) -> None:
    await world.deploy(second=False)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    workload = await find_workload(world.cluster, Target("web"), world.namespace)
    pods = await agent_pods(world.cluster, workload)
    # the application says its arguments when it is asked through the API server's proxy
    path = f"/api/v1/namespaces/{world.namespace}/pods/{pods[0].name}:8080/proxy/"
    answer = world.cluster.transport.send("GET", path)
    assert answer.data == b"1 --price=$5 $(HOME)\n"


async def test_second_time_adopts_and_an_edit_wraps_anew(world: World) -> None:
    before = await world.deploy()
    history, led = await world.history(), await services(world)
    first = await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    version = (await world.cluster.get("deployment", "web", world.namespace))["metadata"]["generation"]
    again = await world.plan()
    assert again.adopted
    second = await install(world.cluster, again, world.binary, Turn.of(300))
    assert replace(second, adopted=False) == first
    live = await world.cluster.get("deployment", "web", world.namespace)
    assert live["metadata"]["generation"] == version
    edited = await world.plan(lease=30.0)
    assert not edited.adopted
    third = await install(world.cluster, edited, world.binary, Turn.of(300))
    assert third.settings["lease_ms"] == 30000
    assert third.laptop_key == first.laptop_key
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


@pytest.mark.slow
async def test_front_and_then_direct(world: World) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    await install(
        world.cluster,
        await world.plan(serving=plan_serving("replace", "direct", "container")),
        world.binary,
        Turn.of(300),
    )
    number = await world.cluster.get("service", "web-number", world.namespace)
    assert number["spec"]["ports"][0]["targetPort"] == 8080
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


async def test_two_laptops_at_the_same_moment(world: World) -> None:
    """The one that comes too late must not take the other's agent out when it fails."""
    await world.deploy(second=False)
    first, second = await world.plan(), await world.plan()
    await install(world.cluster, first, world.binary, Turn.of(300))
    with pytest.raises(BusyError):
        await install(world.cluster, second, world.binary, Turn.of(300))
    workload = await find_workload(world.cluster, Target("web"), world.namespace)
    assert len(await agent_pods(world.cluster, workload)) == 1
    assert (await world.plan()).adopted


def rule(group: str, resources: str, verbs: str) -> Json:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


RIGHTS = (
    rule("apps", "deployments", "get list watch patch"),
    rule("apps", "replicasets", "get list patch delete"),
    rule("", "pods", "get list watch"),
    rule("", "pods/log", "get"),
    rule("", "services", "get list patch"),
    rule("", "secrets configmaps", "get list create patch delete"),
)


async def limited(world: World, kubeconfig: Path, folder: Path, *rights: Json) -> Path:
    write_config(folder / "config", kubeconfig, {"token": await token_of(world, *rights)})
    return folder / "config"


@pytest.mark.slow
async def test_rights_in_one_namespace_are_enough(
    world: World, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    monkeypatch.setenv("KUBECONFIG", str(await limited(world, kubeconfig, tmp_path, *RIGHTS)))
    async with open_cluster() as cluster:
        mine = replace(world, cluster=cluster)
        await install(cluster, await mine.plan(), world.binary, Turn.of(300))
        await remove(cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("patch deployments", "cannot patch deployments in namespace"),
        ("create secrets", "cannot create secrets in namespace"),
        ("create configmaps", "cannot create configmaps in namespace"),
    ],
)
async def test_a_missing_right_is_named_and_nothing_changes(
    world: World,
    kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
    message: str,
) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    verb, resource = missing.split()
    rights = []
    for one in RIGHTS:
        for name in one["resources"]:
            verbs = [item for item in one["verbs"] if (item, name) != (verb, resource)]
            rights.append(one | {"resources": [name], "verbs": verbs})
    monkeypatch.setenv("KUBECONFIG", str(await limited(world, kubeconfig, tmp_path, *rights)))
    begun: list[str] = []
    async with open_cluster() as cluster:
        plan = await replace(world, cluster=cluster).plan()
        with pytest.raises(ClusterError, match=message) as caught:
            await install(cluster, plan, world.binary, Turn.of(300), begin=lambda: begun.append(missing))
        await remove(cluster, world.ref(), Turn.of(300))
    assert caught.value.exit_code == 4
    assert (not begun) == (missing == "patch deployments")  # which the rehearsal finds
    assert "devcluster role" in caught.value.hint
    await assert_original(world, before, history, led)


@pytest.mark.slow
async def test_delivery_by_an_empty_folder(world: World) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    await install(world.cluster, await world.plan(delivery="emptydir"), world.binary, Turn.of(300))
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


def _steps(*slow: int, quick: int) -> list[Any]:
    return [quick, *(pytest.param(step, marks=pytest.mark.slow) for step in slow)]


@pytest.mark.parametrize("step", _steps(1, 2, 3, 4, quick=5))
async def test_killed_while_installing(world: World, step: int) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    with pytest.raises(Killed):
        await install(world.cluster, await world.plan(), world.binary, Turn.of(300, kill_at(step)))
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


@pytest.mark.parametrize("step", _steps(2, 3, 5, 6, quick=4))
async def test_killed_while_removing(world: World, step: int) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    with pytest.raises(Killed):
        await remove(world.cluster, world.ref(), Turn.of(300, kill_at(step)))
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


@pytest.mark.slow
async def test_killed_while_wrapping_anew(world: World) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    with pytest.raises(Killed):
        await install(world.cluster, await world.plan(port=9950), world.binary, Turn.of(300, kill_at(3)))
    removal = await remove(world.cluster, world.ref(), Turn.of(300))
    assert removal.kept == ()
    await assert_original(world, before, history, led)


@pytest.mark.slow
@pytest.mark.parametrize("releases", [1, 2])
async def test_releases_made_meanwhile_stay_as_if_we_had_not_been(world: World, releases: int) -> None:
    await world.deploy()
    before = await world.history()
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    for version in range(2, 2 + releases):
        await world.release("web", {"image": f"{IMAGE}:{version}"}, wrapped=True)
    removal = await remove(world.cluster, world.ref(), Turn.of(300))
    assert removal.kept == ("deployment/web spec.containers[web].image",)
    after = await world.history()
    seen = {(revision, former, image) for _, revision, former, image in after}
    wanted = {(revision, former, image) for name, revision, former, image in before if name != "deployment"}
    wanted |= {(str(2 + one), "", str(1 + one)) for one in range(1, releases + 1)}
    wanted |= {(str(2 + releases), "", "")}
    assert seen == wanted
    assert await world.ours() == []
    live = await world.cluster.get("deployment", "web", world.namespace)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == f"{IMAGE}:{1 + releases}"
    assert live["spec"]["revisionHistoryLimit"] == 10


@pytest.mark.slow
async def test_rollout_undo_made_meanwhile(world: World) -> None:
    before = await world.deploy()
    history = await world.history()
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    body = [{"op": "replace", "path": "/spec/template", "value": before["spec"]["template"]}]
    await world.cluster.patch(
        "deployment", "web", world.namespace, body, type="json-patch", manager="teammate"
    )
    await world.settle()
    await remove(world.cluster, world.ref(), Turn.of(300))
    live = await world.cluster.get("deployment", "web", world.namespace)
    assert live["spec"] == before["spec"]
    assert await world.history() == history
    assert await world.ours() == []


async def test_an_agent_that_does_not_start_is_rolled_back(world: World) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    wrong = replace(FACTS, entrypoint=("/not-there",))
    with pytest.raises(FailedError) as caught:
        await install(world.cluster, await world.plan(image=wrong), world.binary, Turn.of(90))
    assert "/not-there" in caught.value.hint
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


@pytest.mark.slow
async def test_an_agent_for_another_machine_is_named_and_rolled_back(world: World) -> None:
    """Where nodes may not be read the laptop's copy of the image decides, and may be wrong."""
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    other = load_binary("amd64" if platform.machine() in ("arm64", "aarch64") else "arm64")
    plan = await world.plan(digest=other.digest, chunks=other.chunks, doubt=render_doubt("arm64"))
    with pytest.raises(FailedError) as caught:
        await install(world.cluster, plan, other, Turn.of(90))
    assert "exec format error" in caught.value.message + caught.value.hint
    assert "kubernetes.io/arch" in caught.value.hint
    await remove(world.cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)


async def test_a_workload_that_was_broken_before_us(world: World) -> None:
    """The very one that somebody wants to mend: its not answering stops neither `up` nor `down`."""
    body = deployment("web", "RollingUpdate")
    body["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] = 1
    await world.cluster.create("deployment", body, world.namespace)
    before = await world.cluster.get("deployment", "web", world.namespace)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(30))
    workload = await find_workload(world.cluster, Target("web"), world.namespace)
    assert [pod.phase for pod in await agent_pods(world.cluster, workload)] == ["Running"]
    removal = await remove(world.cluster, world.ref(), Turn.of(30))
    assert removal.kept == ()
    after = await world.cluster.get("deployment", "web", world.namespace)
    assert after["spec"] == before["spec"]
    assert await world.ours() == []


@pytest.mark.slow
async def test_two_workloads_share_the_binary(world: World) -> None:
    for name in ("web", "api"):
        await world.deploy(name)
        await install(world.cluster, await world.plan(name), world.binary, Turn.of(300))
    marks = await list_marks(world.cluster, world.namespace)
    assert [(str(mark.ref), mark.container) for mark in marks] == [
        ("deployment/api", "web"),
        ("deployment/web", "web"),
    ]
    await remove(world.cluster, world.ref(), Turn.of(300))
    left = await world.ours()
    assert "devcluster-deployment-api" in left
    assert len(left) == 1 + world.binary.chunks
    await remove(world.cluster, world.ref("api"), Turn.of(300))
    assert await world.ours() == []


async def test_a_deleted_workload_leaves_nothing(world: World) -> None:
    await world.deploy(second=False)
    await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    await world.cluster.delete("deployment", "web", world.namespace)
    await remove(world.cluster, world.ref(), Turn.of(300))
    assert await world.ours() == []


async def test_holder(world: World) -> None:
    await world.deploy(second=False)
    installed = await install(world.cluster, await world.plan(), world.binary, Turn.of(300))
    where = (world.cluster, installed.ref)
    ann, bob = Holder("ann", "laptop", "shop"), Holder("bob", "desk", "shop")
    first = await acquire(*where, ann)
    with pytest.raises(HeldError, match="ann@laptop since 20"):
        await acquire(*where, bob)
    assert (await acquire(*where, ann)).epoch > first.epoch
    edited = await world.plan(lease=30.0)
    with pytest.raises(HeldError, match="ann@laptop"):
        await install(world.cluster, edited, world.binary, Turn.of(300), holder=bob)
    taken = await acquire(*where, bob, takeover=True)
    await relinquish(*where, first.epoch)  # a laptop that wakes up has no say
    mark = await find_mark(*where)
    assert mark is not None
    assert (mark.record.holder, mark.record.epoch) == (bob, taken.epoch)
    await relinquish(*where, taken.epoch)
    mark = await find_mark(*where)
    assert mark is not None
    assert mark.record.holder is None
    assert (await acquire(*where, ann)).epoch > taken.epoch


async def test_a_quota_that_refuses_the_secret(world: World) -> None:
    before = await world.deploy(second=False)
    history, led = await world.history(), await services(world)
    cluster = world.cluster
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-secrets"},
        "spec": {"hard": {"secrets": "0"}},
    }
    cluster.transport.send("POST", path, body=json.dumps(quota).encode())
    with pytest.raises(StatusError, match="quota"):
        await install(cluster, await world.plan(), world.binary, Turn.of(300))
    await remove(cluster, world.ref(), Turn.of(300))
    await assert_original(world, before, history, led)
