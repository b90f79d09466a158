"""The pod's volumes in the local container: what can be copied, and what is refused by name."""

from __future__ import annotations

import subprocess

from tests.scenarios.world import Json, World


def _config_map(name: str, mount: Json) -> tuple[Json, Json]:
    """The container's and the pod's part for a ConfigMap that is mounted so."""
    return (
        {"volumeMounts": [{"name": "config", **mount}]},
        {"volumes": [{"name": "config", "configMap": {"name": name}}]},
    )


async def _deploy(world: World, mount: Json) -> None:
    data = {"config.yaml": "color: green\n" * 200_000 if "subPath" not in mount else "color: green\n"}
    data = {name: text[:900_000] for name, text in data.items()}
    body = {"metadata": {"name": "settings"}, "data": data}
    await world.cluster.create("configmap", body, world.namespace, manager="tester")
    container, pod = _config_map("settings", mount)
    await world.deploy(container=container, pod=pod)


def _container(world: World) -> str:
    """The local container that runs: another one after each start."""
    labels = ("label=devcluster.role=workload", f"label=devcluster.project={world.project}")
    return _docker("ps", "-q", "--no-trunc", *(word for label in labels for word in ("--filter", label)))


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _write(world: World, volumes: str) -> None:
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n"
        f"  web:\n    environment: {{IDENTITY: local}}\n    volumes: {volumes}\n"
    )


async def test_a_single_file_is_refused_by_name(world: World) -> None:
    """A Docker volume would be a directory where the program expects a file."""
    await _deploy(world, {"mountPath": "/etc/app/config.yaml", "subPath": "config.yaml"})
    before = await world.template()
    refused = await world.devcluster("up", "-d", code=2)
    assert "volume config is mounted as a single file" in refused.stderr
    assert "mode: off" in refused.stderr
    assert await world.who(10) == {"original": 10}
    assert await world.template() == before

    _write(world, "{config: {mode: 'off'}}")
    await world.devcluster("up", "-d")
    assert await world.who(10) == {"local": 10}


async def test_a_limit_is_checked_on_an_edit_while_the_former_serves(world: World) -> None:
    await _deploy(world, {"mountPath": "/etc/app"})
    await world.devcluster("up", "-d")
    (row,) = [row for row in (await world.status())["volumes"] if row["name"] == "config"]
    assert (row["mode"], row["bytes"]) == ("copy", 900_000)
    former = _container(world)

    _write(world, "{config: {limit: 100KiB}}")
    refused = await world.devcluster("up", "-d", code=2)
    assert "volume config has 878.9 KiB" in refused.stderr
    assert "limit: 1MiB" in refused.stderr
    assert _container(world) == former
    assert await world.who(10) == {"local": 10}


async def test_a_folder_has_the_files_and_down_leaves_it(world: World) -> None:
    """``path:``: what is changed there stays through the next ``up`` and through ``down -v``."""
    await _deploy(world, {"mountPath": "/etc/app"})
    _write(world, "{config: {path: ./config.vol}}")
    await world.devcluster("up", "-d")
    copied = world.folder / "config.vol" / "config.yaml"
    assert copied.read_text() == ("color: green\n" * 200_000)[:900_000]

    copied.unlink()
    copied.write_text("color: mine\n")
    await world.devcluster("leave")
    await world.devcluster("up", "-d")
    assert copied.read_text() == "color: mine\n"

    await world.devcluster("down", "-v")
    assert copied.read_text() == "color: mine\n"
    assert world.docker_leftovers() == []


async def test_down_keeps_a_changed_copy_and_names_it(world: World) -> None:
    pod: Json = {"volumes": [{"name": "data", "emptyDir": {}}]}
    await world.deploy(container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, pod=pod)
    await world.devcluster("up", "-d")
    names = _docker("inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", _container(world)).split()
    source = world.folder / "mine.txt"
    source.write_text("mine\n")
    _docker("cp", str(source), f"{_container(world)}:/data/mine.txt")

    done = await world.devcluster("down")
    (kept,) = world.docker_leftovers()
    name = kept.removeprefix("volume ")
    assert name in names
    assert name in done.stdout + done.stderr

    await world.devcluster("down", "-v")
    assert world.docker_leftovers() == []
