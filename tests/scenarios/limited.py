"""The Role as ``devcluster role`` prints it, and commands that have it, or it without one verb."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from devcluster.rules.cluster.rights import Right
from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World

Rules = list[dict[str, Any]]
_RECORDER = Path(__file__).parent / "recorder"


async def rules_of(world: World) -> Rules:
    role, _ = yaml.safe_load_all((await world.devcluster("role")).stdout)
    assert role["metadata"]["namespace"] == world.namespace
    rules: Rules = role["rules"]
    return rules


async def limit(world: World, kubeconfig: Path, rules: Rules) -> Path:
    """From now on the commands are run with these rights alone; the file in which their requests are."""
    token = await token_of(world, *rules)
    write_config(world.folder / "kubeconfig", kubeconfig, {"token": token})
    asked = world.folder / "requests"
    asked.touch()
    world.environ |= {
        "KUBECONFIG": str(world.folder / "kubeconfig"),
        "DEVCLUSTER_TEST_REQUESTS": str(asked),
        "PYTHONPATH": os.pathsep.join([str(_RECORDER), world.environ["PYTHONPATH"]]),
    }
    return asked


async def take_away(world: World, rules: Rules, right: Right) -> dict[str, Any]:
    """What `doctor` says once it is gone."""
    await _grant(world, _without(rules, right))
    return await _until_missing(world, f"cannot {right}")


async def give_back(world: World, rules: Rules) -> None:
    await _grant(world, rules)
    await _until_missing(world)


async def missing(world: World) -> list[dict[str, Any]]:
    """What `doctor` says of each right that is missing."""
    checks = (await world.devcluster("doctor", "-o", "json", code=None)).json["checks"]
    return [check for check in checks if check["subject"] == "rights" and check["state"] != "ok"]


def _without(rules: Rules, right: Right) -> Rules:
    left = []
    for rule in rules:
        if rule["resources"] == [right.resource]:
            rule = rule | {"verbs": [verb for verb in rule["verbs"] if verb != right.verb]}
        if rule["verbs"]:
            left.append(rule)
    return left


async def _grant(world: World, rules: Rules) -> None:
    operation = [{"op": "replace", "path": "/rules", "value": rules}]
    await world.cluster.patch("role", "limited", world.namespace, operation, type="json-patch")


async def _until_missing(world: World, *wanted: str) -> dict[str, Any]:
    """The API server learns of a changed Role a moment later."""
    for _ in range(20):
        lines = await missing(world)
        if Counter(line["text"].partition(" in ")[0] for line in lines) == Counter(wanted):
            return lines[0] if lines else {}
    raise AssertionError(f"missing should be {wanted}: {lines}")
