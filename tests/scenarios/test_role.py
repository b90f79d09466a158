"""The least Role: it grants what is asked for and nothing more, and each part of it is missed by name."""

from __future__ import annotations

from pathlib import Path

import yaml

from devcluster.rules.cluster.rights import RIGHTS
from devcluster.rules.kinds.table import KINDS
from tests.scenarios.limited import limit, missing, rules_of, take_away
from tests.scenarios.world import World

# Upgrades, which are no requests of this kind; and what is asked for only where a pod does not start.
_OTHERWISE = {"get pods/proxy", "get pods/portforward", "create pods/portforward", "get pods/log"}
# For workloads of other kinds, which have scenarios of their own.
_OTHERWISE |= {
    f"{verb} {row.plural}"
    for row in KINDS.values()
    if row.name != "deployment"
    for verb in ("patch", "watch")
}
_OTHERWISE |= {f"{verb} controllerrevisions" for verb in ("list", "patch", "delete", "create")} | {
    "delete pods",
    "list persistentvolumeclaims",
}
# Asked for where they may be, for a warning or a check alone, or granted to everybody by the API server.
_EXTRA = {
    "list nodes",
    "list horizontalpodautoscalers",
    "list verticalpodautoscalers",
    "list scaledobjects",
    "list jobs",
    "list cronjobs",
    "create selfsubjectaccessreviews",
    "discover",
}


async def test_the_role_is_what_is_asked_for(world: World, kubeconfig: Path) -> None:
    """Every command as a ServiceAccount that has the Role and nothing else, each request recorded."""
    await world.deploy(numeric=True)
    before = await world.template()
    asked = await limit(world, kubeconfig, await rules_of(world))

    await world.devcluster("plan")
    await world.devcluster("up", "-d")
    assert await world.who() == {"local": 20}
    for words in (["status"], ["list"], ["logs", "web"], ["exec", "web", "/app", "resolve", "web"]):
        await world.devcluster(*words)
    await world.devcluster("env", "web")
    await world.devcluster("leave")
    assert await world.who() == {"original": 20}
    await world.devcluster("up", "-d")
    # A second workload shares the agent's ConfigMaps.
    await world.deploy("other")
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}, other: {{}}}}\n")
    await world.devcluster("up", "-d")
    await world.devcluster("status", "--verify")
    await world.devcluster("down")
    assert await world.template() == before
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []
    assert await world.who() == {"original": 20}

    seen = set(asked.read_text().split("\n")) - {""}
    granted = {str(right) for right in RIGHTS}
    assert seen - granted - _EXTRA == set(), "asked for what the Role does not grant"
    assert granted - seen == _OTHERWISE, "granted what nobody asks for"


async def test_each_missing_right_is_named(world: World, kubeconfig: Path) -> None:
    """Without any one verb `doctor` names exactly this one, and what works without it."""
    rules = await rules_of(world)
    await limit(world, kubeconfig, rules)
    assert await missing(world) == []
    for right in RIGHTS:
        line = await take_away(world, rules, right)
        assert line["text"].startswith(
            f"cannot {right} in namespace {world.namespace}; what works without it: "
        )
        assert line["state"] == ("bad" if right.needed else "warning")
        assert "devcluster role" in line["remedy"]


async def test_the_binding_names_whoever_is_meant(world: World) -> None:
    for words, subject in (
        (["--user", "ann"], {"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}),
        (["--group", "shop"], {"kind": "Group", "name": "shop", "apiGroup": "rbac.authorization.k8s.io"}),
        (["--service-account", "ci:bot"], {"kind": "ServiceAccount", "name": "bot", "namespace": "ci"}),
    ):
        text = (await world.devcluster("role", *words)).stdout
        role, binding = yaml.safe_load_all(text)
        assert binding["subjects"] == [subject]
        for kind, item in (("role", role), ("rolebinding", binding)):
            assert item["kind"] in ("Role", "RoleBinding")
            made = await world.cluster.create(kind, item, world.namespace)
            await world.cluster.delete(kind, made["metadata"]["name"], world.namespace)
        assert (await world.devcluster("role", *words, "-o", "json")).json["items"] == [role, binding]
