"""Who takes the agent out again is named beforehand, seen at once, and repaired by `up`."""

from __future__ import annotations

import contextlib
import copy
import time
from typing import Any

import pytest

from devcluster.edge.background import running
from devcluster.edge.kube.cluster import PatchType
from tests.scenarios.fire import snapshot
from tests.scenarios.world import World, is_rolled_out

Json = dict[str, Any]
_SOON = 60.0  # seconds until an `up` that can't succeed has put everything back: two roll-outs at most
_TRUTH = 6.0  # seconds until `status` must say so: three times the promise


async def test_a_controller_is_named_before_anything_happens(world: World) -> None:
    await world.deploy()
    chart = {"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "shop-1.0"}
    await world.cluster.patch("deployment", "web", world.namespace, {"metadata": {"labels": chart}})
    assert "Helm" not in (await world.devcluster("plan")).stdout  # a chart's labels are anybody's

    marks = {
        "labels": {
            "kustomize.toolkit.fluxcd.io/name": "shop",
            "kustomize.toolkit.fluxcd.io/namespace": "flux",
        },
        "annotations": {"argocd.argoproj.io/tracking-id": "front:apps/Deployment:x/web"},
    }
    await world.cluster.patch("deployment", "web", world.namespace, {"metadata": marks})
    before = (await world.cluster.get("deployment", "web", world.namespace))["metadata"]["generation"]

    plan = (await world.devcluster("plan", "-o", "json")).json["workloads"][0]
    said = [one["text"] for one in plan["warnings"] if one["subject"] == "controller"]
    assert len(said) == 2
    assert "Argo CD (application front)" in said[0]
    assert "Flux (kustomization shop)" in said[1]
    assert "flux suspend kustomization shop -n flux" in (await world.devcluster("plan")).stdout
    after = (await world.cluster.get("deployment", "web", world.namespace))["metadata"]["generation"]
    assert after == before

    done = await world.devcluster("up", "-d")
    lines = done.stderr.splitlines()
    warned = next(number for number, line in enumerate(lines) if "Argo CD" in line)
    assert warned < next(number for number, line in enumerate(lines) if "publish the agent" in line)


async def test_a_template_put_back_is_seen_and_repaired(world: World) -> None:
    """What a sync with replacement does, and a `kubectl rollout undo` of somebody's."""
    await world.deploy()
    original = await world.template()
    await world.devcluster("up", "-d")
    assert await world.who(10) == {"local": 10}

    body = [{"op": "replace", "path": "/spec/template", "value": original}]
    await world.cluster.patch(
        "deployment", "web", world.namespace, body, type="json-patch", manager="argocd-controller"
    )
    row = await _until_drift(world)
    assert row["state"] in ("partial", "absent")
    assert "argocd-controller" in row["drift"][0]
    await world.available("web")
    assert (await world.status())["state"] == "absent"
    await world.until_who("original")
    assert await world.who(10) == {"original": 10}

    again = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"][0]
    assert again["outcome"] == "changed"
    row = await world.status()
    assert (row["state"], row["drift"]) == ("attached", [])
    assert await world.who(20) == {"local": 20}
    await world.devcluster("down")
    assert await world.template() == original
    assert await world.who(20) == {"original": 20}
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_down_after_somebody_put_the_template_back(world: World) -> None:
    """Nobody holds it; what is left of ours still goes."""
    await world.deploy()
    original = await world.template()
    await world.devcluster("up", "-d")
    await world.devcluster("leave")
    assert (await world.status())["drift"] == []

    body = [{"op": "replace", "path": "/spec/template", "value": original}]
    await world.cluster.patch("deployment", "web", world.namespace, body, type="json-patch", manager="helm")
    row = await _until_drift(world)
    assert row["state"] == "absent"
    assert "helm" in row["drift"][0]
    await world.devcluster("down")
    assert await world.template() == original
    assert await world.cluster_leftovers() == []
    assert world.docker_leftovers() == []


@pytest.mark.slow
async def test_half_a_revert_is_seen_and_repaired(world: World) -> None:
    """`kubectl apply` of the original manifest gives the arguments back and leaves our command."""
    await world.deploy(numeric=True, container={"ports": [{"containerPort": 8080}], "readinessProbe": _PROBE})
    original = await world.template()
    await world.devcluster("up", "-d")

    target = copy.deepcopy(original["spec"]["containers"][0])
    sent = {key: target[key] for key in ("name", "image", "args", "ports", "readinessProbe")}
    body = {"spec": {"template": {"spec": {"containers": [sent]}}}}
    await world.cluster.patch(
        "deployment", "web", world.namespace, body, type="strategic", manager="kubectl-client-side-apply"
    )
    row = await _until_drift(world)
    assert row["state"] != "attached"
    assert any("args" in text for text in row["drift"])

    assert (await world.devcluster("up", "-d", "-o", "json")).json["workloads"][0]["outcome"] == "changed"
    row = await world.status()
    assert (row["state"], row["drift"]) == ("attached", [])
    assert await world.who(20) == {"local": 20}
    await world.devcluster("down")
    assert await world.template() == original


@pytest.mark.slow
async def test_a_service_led_past_the_agent_is_seen_and_repaired(world: World) -> None:
    await world.deploy(numeric=True)
    before = await world.cluster.get("service", "web", world.namespace)
    await world.devcluster("up", "-d")
    assert await world.who(10) == {"local": 10}

    body = {"spec": {"ports": before["spec"]["ports"]}}
    await world.cluster.patch("service", "web", world.namespace, body, manager="kustomize-controller")
    row = await _until_drift(world)
    assert row["state"] == "partial"
    assert "service/web port 80 bypasses the agent and leads to 8080" in row["reason"]
    assert "kustomize-controller" in row["reason"]

    assert (await world.devcluster("up", "-d", "-o", "json")).json["workloads"][0]["outcome"] == "changed"
    assert (await world.status())["drift"] == []
    assert await world.who(20) == {"local": 20}
    assert (await world.devcluster("up", "-d", "-o", "json")).json["workloads"][0]["outcome"] == "unchanged"
    await world.devcluster("down")
    after = await world.cluster.get("service", "web", world.namespace)
    assert after["spec"]["ports"] == before["spec"]["ports"]


@pytest.mark.parametrize(
    "how",
    ["at once", pytest.param("late", marks=pytest.mark.slow), pytest.param("half", marks=pytest.mark.slow)],
)
async def test_a_controller_that_never_lets_go_ends_an_up_soon(world: World, how: str) -> None:
    """With its name and how to pause it, not at the time-out; and nothing stays."""
    await world.deploy(numeric=True)
    label = {"metadata": {"labels": {"argocd.argoproj.io/instance": "shop"}}}
    await world.cluster.patch("deployment", "web", world.namespace, label, manager="tester")
    before = await snapshot(world)
    async with running(_heal(world, before, how), name="self-heal"):
        start = time.monotonic()
        done = await world.devcluster("up", "-d", code=1)
        print(f"it ended after {time.monotonic() - start:.1f} s")
        assert time.monotonic() - start < _SOON
    assert "last written by argocd-controller at" in done.stderr
    assert "argocd app set shop --sync-policy none" in done.stderr
    assert await world.template() == before["deployment"]["spec"]["template"]
    now = await snapshot(world)
    for state in (before, now):  # self-heal owns what it wrote
        del state["deployment"]["managers"]
    assert now == before
    assert (await world.status())["state"] == "absent"
    assert await world.who(10) == {"original": 10}


async def _heal(world: World, before: Json, how: str) -> None:
    """What a GitOps tool does: put back what differs.  *how* ``late``: once it is rolled out; ``half``: what
    its manifest says, so that what was added stays."""
    original = before["deployment"]["spec"]["template"]
    sent = {
        key: original["spec"]["containers"][0][key] for key in ("name", "image", "args", "readinessProbe")
    }
    states = world.cluster.watch_all("deployment", world.namespace, fields="metadata.name=web")
    async with contextlib.aclosing(states):
        async for (item,) in states:
            live = item["spec"]["template"]
            container = live["spec"]["containers"][0]
            if how == "late" and not is_rolled_out(item):
                continue
            if how != "half" and live != original:
                body: Any = [{"op": "replace", "path": "/spec/template", "value": original}]
                await _write(world, body, "json-patch")
            elif how == "half" and any(container.get(key) != value for key, value in sent.items()):
                await _write(world, {"spec": {"template": {"spec": {"containers": [sent]}}}}, "strategic")


async def _write(world: World, body: Any, type: PatchType) -> None:
    await world.cluster.patch(
        "deployment", "web", world.namespace, body, type=type, manager="argocd-controller"
    )


_PROBE: Json = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}


async def _until_drift(world: World) -> Json:
    """The first row that tells of it."""
    start = time.monotonic()
    while True:
        row = await world.status()
        took = time.monotonic() - start
        if row["drift"]:
            print(f"status told the truth after {took:.1f} s")
            return row
        assert took < _TRUTH, row
