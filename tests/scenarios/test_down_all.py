"""`down --all`: every namespace that may be read, and no other.

Never run here with the test cluster's own rights: everybody's workloads would be put back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.edge.kube.paths import RESOURCES, Resource
from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World, open_world

_RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
async def second(world: World, kubeconfig: Path, tmp_path: Path, app: str) -> AsyncIterator[World]:
    """Another namespace of the same laptop, with a project of its own."""
    folder = tmp_path / "second"
    folder.mkdir()
    async with open_world(kubeconfig, folder, app) as other:
        other.environ["XDG_STATE_HOME"] = world.environ["XDG_STATE_HOME"]
        yield other


@pytest.fixture
def cluster_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """devcluster itself touches no ClusterRole, so it does not know where they are."""
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        resource = Resource(_RBAC, f"{kind.lower()}s", kind, namespaced=False)
        monkeypatch.setitem(RESOURCES, kind.lower(), resource)


@pytest.mark.slow
async def test_down_all_goes_as_far_as_the_rights(
    world: World, second: World, kubeconfig: Path, cluster_kinds: None
) -> None:
    before = []
    for one in (world, second):
        before.append((await one.deploy())["spec"]["template"])
        await one.devcluster("up", "-d")
    role, _ = yaml.safe_load_all((await world.devcluster("role")).stdout)
    weak = _as(world, kubeconfig, await token_of(world, *role["rules"]))

    done = await weak.devcluster("down", "--all")
    assert f"only namespace {world.namespace} was searched" in done.stdout
    assert await world.template() == before[0]
    assert await world.cluster_leftovers() == world.docker_leftovers() == []
    assert (await second.status())["state"] == "attached"
    assert await second.who(5) == {"local": 5}

    await _grant(world, second, role["rules"])
    try:
        (row,) = (await weak.devcluster("down", "--all", "-o", "json")).json["workloads"]
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            await world.cluster.delete(kind, world.namespace)
    assert (row["name"], row["outcome"]) == ("web", "put back")
    assert await second.template() == before[1]
    assert await second.cluster_leftovers() == second.docker_leftovers() == []


def _as(world: World, kubeconfig: Path, token: str) -> World:
    """The same laptop with fewer rights."""
    path = world.folder / "weak"
    write_config(path, kubeconfig, {"token": token})
    return dataclasses.replace(world, environ=world.environ | {"KUBECONFIG": str(path)})


async def _grant(world: World, second: World, rules: list[dict[str, Any]]) -> None:
    """The names of all namespaces, and the Role in the second."""
    who = {"kind": "ServiceAccount", "name": "limited", "namespace": world.namespace}
    group = "rbac.authorization.k8s.io"
    listing = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]
    named = {"metadata": {"name": world.namespace}}
    for space, kind, granted in ((None, "ClusterRole", listing), (second.namespace, "Role", rules)):
        await world.cluster.create(kind.lower(), named | {"rules": granted}, space)
        given = {"kind": kind, "name": world.namespace, "apiGroup": group}
        binding = named | {"roleRef": given, "subjects": [who]}
        await world.cluster.create(f"{kind.lower()}binding", binding, space)
