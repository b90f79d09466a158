"""Workloads of other kinds than Deployments, of the test application, and their history."""

from __future__ import annotations

import asyncio
from typing import Any

from devcluster.rules.kinds.kind import Done, Sight
from devcluster.rules.kinds.table import KINDS
from tests.scenarios.world import World, deployment

Json = dict[str, Any]
_GUARD = 120.0
_FILE = """\
name: shop
namespace: {namespace}
workloads:
  web: {{target: {kind}/web, environment: {{IDENTITY: local}}}}
"""


def statefulset(image: str, *, name: str = "web", replicas: int = 1, **spec: Any) -> Json:
    """With a claim, and a Service of its peers."""
    body = deployment(name, image, strategy="", replicas=replicas, container=None, pod=None)
    del body["spec"]["strategy"]
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    body["spec"] |= {"serviceName": "peers", "volumeClaimTemplates": [claim]} | spec
    return body


def daemonset(image: str, **spec: Any) -> Json:
    body = deployment("web", image, strategy="", replicas=1, container=None, pod=None)
    del body["spec"]["strategy"], body["spec"]["replicas"]
    body["spec"] |= spec
    return body


async def deploy(world: World, kind: str, body: Json) -> None:
    """With a Service of its port's name, and a headless one; available."""
    world.write(_FILE.format(namespace=world.namespace, kind=kind))
    selector, ports = {"app": "web"}, [{"name": "http", "port": 80, "targetPort": "http"}]
    peers = {"clusterIP": "None", "selector": selector, "ports": [{"name": "http", "port": 8080}]}
    for name, spec in (("web", {"selector": selector, "ports": ports}), ("peers", peers)):
        await world.cluster.create("service", {"metadata": {"name": name}, "spec": spec}, world.namespace)
    await world.cluster.create(kind, body, world.namespace, manager="tester")
    await rolled_out(world, kind)


async def rolled_out(world: World, kind: str) -> Json:
    """The workload, once all of its pods are new and available."""
    async with asyncio.timeout(_GUARD):
        while True:
            item = await world.cluster.get(kind, "web", world.namespace)
            pods = await world.cluster.list("pod", world.namespace, selector="app=web")
            if KINDS[kind].judge_rollout(Sight(item, pods.items, "web", False, True)) == Done():
                return item
            await asyncio.sleep(0.2)


async def release(world: World, kind: str, number: str) -> None:
    """What a teammate does: ``kubectl set env``."""
    container = {"name": "web", "env": [{"name": "RELEASE", "value": number}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    await world.cluster.patch(kind, "web", world.namespace, body, type="strategic", manager="teammate")


async def set_strategy(world: World, kind: str, strategy: Json) -> None:
    body = [{"op": "replace", "path": "/spec/updateStrategy", "value": strategy}]
    await world.cluster.patch(kind, "web", world.namespace, body, type="json-patch", manager="tester")


async def spec_of(world: World, kind: str) -> Json:
    found: Json = (await world.cluster.get(kind, "web", world.namespace))["spec"]
    return found


async def history(world: World) -> list[tuple[int, str]]:
    """As ``kubectl rollout history`` counts: number and release; no agent is in any."""
    found = []
    for item in (await world.cluster.list("controllerrevision", world.namespace)).items:
        assert "/.devcluster" not in str(item["data"])
        (container,) = item["data"]["spec"]["template"]["spec"]["containers"]
        env = {one["name"]: one.get("value", "") for one in container["env"]}
        found.append((item["revision"], env.get("RELEASE", "")))
    return sorted(found)
