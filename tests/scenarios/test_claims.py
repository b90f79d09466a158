"""A database in a Deployment with the default strategy: never two of it on one claim."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from devcluster.sandbox.base_image import BASE_IMAGE
from devcluster.sandbox.example_images import example_folder
from devcluster.sandbox.example_objects import EXAMPLES
from tests.scenarios.kinds import deploy, spec_of, statefulset
from tests.scenarios.python_world import build_image
from tests.scenarios.world import Json, World

_VARIABLES = {
    "MARIADB_ROOT_PASSWORD": "r00t",
    "MARIADB_DATABASE": "shop",
    "MARIADB_USER": "shop",
    "MARIADB_PASSWORD": "pw",
}
# kube-proxy learns of a new pod a moment after it is ready.
_ONCE_IT_ANSWERS = """
until mariadb-admin -h db -u shop --password=pw --silent ping; do sleep 0.2; done
exec "$0" "$@"
"""
_COUNT = "SELECT JSON_OBJECT('rows', COUNT(*)) FROM items"


@pytest.fixture(scope="session")
def mariadb(kubeconfig: Path, python: str) -> str:
    """The example's, which needs the base image that *python* has made."""
    return build_image(
        kubeconfig, example_folder(EXAMPLES["wordpress"]) / "mariadb", "mariadb", BASE=BASE_IMAGE
    )


async def _deploy(world: World, image: str) -> None:
    size = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    await world.cluster.create(
        "persistentvolumeclaim", {"metadata": {"name": "db-data"}, "spec": size}, world.namespace
    )
    mount = {"name": "data", "mountPath": "/bitnami/mariadb"}
    own: Json = {
        "name": "chown",
        "image": image,
        "command": ["/bin/chown", "1001:0", "/bitnami/mariadb"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [mount],
    }
    container: Json = {
        "name": "db",
        "image": image,
        "env": [{"name": name, "value": value} for name, value in _VARIABLES.items()],
        "ports": [{"name": "mysql", "containerPort": 3306}],
        "readinessProbe": {"tcpSocket": {"port": 3306}, "periodSeconds": 1},
        "volumeMounts": [mount],
    }
    labels = {"app": "db"}
    pod = {
        "initContainers": [own],
        "containers": [container],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "db-data"}}],
    }
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    await world.cluster.create("deployment", {"metadata": {"name": "db"}, "spec": spec}, world.namespace)
    service = {"selector": labels, "ports": [{"port": 3306, "targetPort": "mysql"}]}
    await world.cluster.create("service", {"metadata": {"name": "db"}, "spec": service}, world.namespace)
    await world.available("db")


async def _sql(world: World, image: str, text: str, program: str = "mariadb") -> Json:
    world.asker = {"command": ["sh", "-c", _ONCE_IT_ANSWERS, f"/usr/bin/{program}"]}
    words = ["-h", "db", "-u", "shop", "--password=pw", "-N", "-B", "shop", "-e", text]
    if program != "mariadb":
        words = ["-h", "db", "-u", "shop", "--password=pw", "--check", "shop"]
    return await world.ask(*words, image=image)


async def test_a_database_that_rolls_without_stopping(world: World, mariadb: str) -> None:
    """Also one whose new pods count only after a minute: neither `up` nor `down` waits for that."""
    await _deploy(world, mariadb)
    await _sql(world, mariadb, "CREATE TABLE items (name TEXT); INSERT INTO items VALUES ('kept')")
    await world.cluster.patch("deployment", "db", world.namespace, {"spec": {"minReadySeconds": 90}})
    before = (await world.cluster.get("deployment", "db", world.namespace))["spec"]
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{db: {{}}}}\n")

    planned = (await world.devcluster("plan")).stdout
    assert "mounts the ReadWriteOnce claim db-data and rolls without stopping" in planned
    assert "strategy: {type: Recreate}" in planned

    began = time.monotonic()
    done = await world.devcluster("up", "-d")
    assert "claim db-data" in done.stderr
    assert await _sql(world, mariadb, _COUNT) == {"rows": 1}
    await _sql(world, mariadb, "INSERT INTO items VALUES ('private')")
    held = (await world.cluster.get("deployment", "db", world.namespace))["spec"]
    assert (held["strategy"], held["minReadySeconds"]) == (before["strategy"], 90)

    await world.devcluster("down", "-v")
    assert time.monotonic() - began < 90
    assert list((world.folder / "state" / "devcluster").iterdir()) == []
    assert (await world.cluster.get("deployment", "db", world.namespace))["spec"] == before
    assert await _sql(world, mariadb, _COUNT) == {"rows": 1}
    await _sql(world, mariadb, "", "mariadb-check")


@pytest.mark.slow
async def test_peers_that_count_late(world: World) -> None:
    """A StatefulSet's pods, one after the other: each would be waited for."""
    await deploy(world, "statefulset", statefulset(world.app, replicas=2))
    await world.cluster.patch("statefulset", "web", world.namespace, {"spec": {"minReadySeconds": 60}})
    before = await spec_of(world, "statefulset")
    began = time.monotonic()
    await world.devcluster("up", "-d")
    assert (await spec_of(world, "statefulset"))["minReadySeconds"] == 60
    assert await world.who(5) == {"local": 5}
    await world.devcluster("down")
    assert time.monotonic() - began < 2 * 2 * 60
    assert await spec_of(world, "statefulset") == before
