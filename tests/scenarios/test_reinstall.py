"""An edit that needs another agent, where the cluster does not let it in: what was attached is not forgotten.

The denial is a policy of the cluster's own; it begins after the first `up`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from devcluster.edge.kube.answer import StatusError
from devcluster.edge.kube.paths import ApiPath
from tests.scenarios.world import Json, World

_GROUP = "admissionregistration.k8s.io/v1"
_NO_AGENT = "!object.spec.template.spec.?volumes.orValue([]).exists(v, v.name.startsWith('devcluster'))"


async def test_what_stood_is_put_back_where_the_next_agent_is_denied(world: World) -> None:
    await world.deploy()
    before = await world.template()
    _write(world, port=9900)
    await world.devcluster("up", "-d")
    assert await world.who(5) == {"local": 5}
    async with _no_agents(world):
        _write(world, port=9950)
        done = await world.devcluster("up", "-d", code=1)
        assert "denied request" in done.stderr
        assert "deployment/web was put back" in done.stderr
        assert await world.template() == before
        assert (await world.status())["state"] == "absent"
        assert world.docker_leftovers() == []
        assert await world.cluster_leftovers() == []
        await world.until_who("original")


async def test_another_port_is_another_agent(world: World) -> None:
    await world.deploy()
    _write(world, port=9900)
    await world.devcluster("up", "-d")
    _write(world, port=9950)
    (row,) = (await world.devcluster("up", "-d", "-o", "json")).json["workloads"]
    assert row["outcome"] == "changed"
    assert await world.who(20) == {"local": 20}
    await world.devcluster("down")
    assert await world.who(5) == {"original": 5}


def _write(world: World, port: int) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nagent: {{port: {port}}}\n"
        "workloads:\n  web: {environment: {IDENTITY: local}}\n"
    )


@contextlib.asynccontextmanager
async def _no_agents(world: World) -> AsyncIterator[None]:
    """No template of the namespace may hold an agent."""
    name = f"{world.namespace}-no-agents"
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments"],
    }
    policy = {
        "matchConstraints": {
            "resourceRules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        },
        "validations": [{"expression": _NO_AGENT, "message": "no agents here"}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    made = {"ValidatingAdmissionPolicy": policy, "ValidatingAdmissionPolicyBinding": binding}
    try:
        for kind, spec in made.items():
            body = {"apiVersion": _GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec}
            await world.cluster.transport.request("POST", _place(kind), "create", body=body)
        async with asyncio.timeout(60):
            while not await _is_denied(world):
                await asyncio.sleep(0.2)
        yield
    finally:
        for kind in made:
            await world.cluster.transport.request("DELETE", _place(kind, name), "delete")


def _place(kind: str, name: str = "") -> ApiPath:
    plural = "validatingadmissionpolicies" if kind.endswith("Policy") else "validatingadmissionpolicybindings"
    return ApiPath(f"/apis/{_GROUP}/{plural}/{name}".rstrip("/"), plural, None)


async def _is_denied(world: World) -> bool:
    body: Json = {"metadata": {"annotations": {"asked": "yes"}}}
    try:
        await world.cluster.patch("deployment", "web", world.namespace, body, dry_run=True)
    except StatusError:
        return True
    return False
