"""What `plan` says beforehand, of a real namespace; under a Role that shows less, what it did not look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World

Json = dict[str, Any]

# What docs/architecture.md asks for, as far as `plan` needs it: no autoscalers, no policies, no nodes.
_LEAST = (
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods", "services", "secrets"], "verbs": ["get", "list"]},
)


async def _surround(world: World) -> None:
    """An application with databases, an autoscaler, a policy and no history."""
    values = {
        "IDENTITY": "original",
        "DB_HOST": "orders",
        "REPORTS": "postgres://reader:gehe1m@reports.corp.example/all",
        "ARCHIVE_HOST": "archive.corp.example",
        "ARCHIVE_PORT": "5432",
        "AUDIT": "mongodb://audit.data.svc.cluster.local/x",
    }
    env: list[Json] = [{"name": name, "value": value} for name, value in values.items()]
    env.append({"name": "CACHE_HOST", "valueFrom": {"secretKeyRef": {"name": "hosts", "key": "cache"}}})
    secret = {"metadata": {"name": "hosts"}, "stringData": {"cache": "cache"}}
    await world.cluster.create("secret", secret, world.namespace)
    await world.deploy(strategy="Recreate", numeric=True, container={"env": env})
    for name, port in (("orders", 3306), ("cache", 6379)):
        database: Json = {"metadata": {"name": name}, "spec": {"selector": {"app": name}}}
        database["spec"]["ports"] = [{"port": port}]
        await world.cluster.create("service", database, world.namespace)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 3}
    policy = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]}
    for kind, spec in (("horizontalpodautoscaler", scaler), ("networkpolicy", policy)):
        await world.cluster.create(kind, {"metadata": {"name": "mine"}, "spec": spec}, world.namespace)
    limit = {"spec": {"revisionHistoryLimit": 0}}
    await world.cluster.patch("deployment", "web", world.namespace, limit)


async def _warnings(world: World) -> tuple[dict[str, list[str]], list[str]]:
    """By subject; and the notes on what could not be read."""
    (row,) = (await world.devcluster("plan", "-o", "json")).json["workloads"]
    found: dict[str, list[str]] = {}
    for one in row["warnings"]:
        found.setdefault(one["subject"], []).append(one["text"])
    return found, [note for note in row["notes"] if note.startswith("cannot ")]


async def test_plan_names_what_will_happen(world: World, kubeconfig: Path) -> None:
    await _surround(world)
    before = await world.cluster.get("deployment", "web", world.namespace)

    found, unread = await _warnings(world)
    assert unread == []
    assert sorted(found) == ["autoscaler", "away", "data", "history", "policy"]
    assert "deployment/web is away for about as long as its start takes" in found["away"][0]
    assert " s the last time: its strategy is Recreate" in found["away"][0]  # there is a pod that tells
    assert "horizontalpodautoscaler/mine watches deployment/web" in found["autoscaler"][0]
    assert "networkpolicy/mine lets port 8080 in and not 990" in found["policy"][0]
    head, tail = "what the local container writes to ", " is real"
    assert [one.removeprefix(head).removesuffix(tail) for one in found["data"]] == [
        "service/orders (MySQL or MariaDB, named by DB_HOST)",
        "service/cache (Redis, perhaps named by CACHE_HOST)",
        "the database of ARCHIVE_HOST",
        "the database of AUDIT",
        "the database of REPORTS",
    ]

    text = (await world.devcluster("plan")).stdout
    assert text.count("    warning: ") == sum(len(texts) for texts in found.values())
    for value in ("gehe1m", "corp.example", "audit.data"):
        assert value not in text
    after = await world.cluster.get("deployment", "web", world.namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert await world.cluster_leftovers() == []

    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        "    environment: {DB_HOST: host.docker.internal, CACHE_HOST: localhost, REPORTS: 'postgres://x/y'}\n"
    )
    found, _ = await _warnings(world)
    mine = [one.split()[-3] for one in found["data"]]
    assert mine == ["ARCHIVE_HOST", "AUDIT"]  # the others are the file's own affair

    limited = world.folder / "kubeconfig"
    write_config(limited, kubeconfig, {"token": await token_of(world, *_LEAST)})
    world.environ["KUBECONFIG"] = str(limited)
    found, unread = await _warnings(world)
    assert sorted(found) == ["away", "data", "history"]
    assert len(unread) == 1
    assert unread[0].startswith(  # VPA and KEDA are not there, so nobody misses them
        "cannot list horizontalpodautoscalers.autoscaling, networkpolicies.networking.k8s.io, "
        "statefulsets.apps, daemonsets.apps, jobs.batch, cronjobs.batch in namespace "
        f"{world.namespace}: not needed, but nobody warns of an autoscaler that points at the workload, "
        "a NetworkPolicy that closes the agent's ports, "
    )
    assert (await world.devcluster("plan")).stdout.count("    note: cannot list ") == 1


@pytest.mark.slow
async def test_up_warns_before_its_first_step_and_in_its_document(world: World) -> None:
    await _surround(world)
    done = await world.devcluster("up", "-d", "-o", "json")
    lines = done.stderr.splitlines()
    warned = [number for number, line in enumerate(lines) if line.startswith("[web] warning: ")]
    (row,) = done.json["workloads"]
    assert len(warned) == len(row["warnings"]) == 9
    assert warned[-1] < next(number for number, line in enumerate(lines) if "publish the agent" in line)
    again = await world.devcluster("up", "-d", "-o", "json")
    assert again.json["workloads"][0]["outcome"] == "unchanged"
    assert "warning:" not in again.stderr

    await world.devcluster("down")
    spec = (await world.cluster.get("deployment", "web", world.namespace))["spec"]
    assert spec["revisionHistoryLimit"] == 0
    assert await world.cluster_leftovers() == []
