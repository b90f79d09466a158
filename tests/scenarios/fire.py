"""A world under fire: the command that dies at a step, another laptop, and whether all is as it was.

"As it was" is read from the API server and from Docker: Deployment, Service and ReplicaSets with their
annotations, numbers and owners of fields, the names of all Secrets and ConfigMaps, and every object of the
project in Docker.  What ``kubectl diff`` would say is asked of the API server: the original manifest,
applied on the server's side as a dry run.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from devcluster.edge.kube.paths import path_of
from tests.scenarios.die_after import RECORD, STEP, WHEN
from tests.scenarios.world import Done, World, deployment

Json = dict[str, Any]
_GUARD = 180.0
_APPLY = "application/apply-patch+yaml"
_REVISION = "deployment.kubernetes.io/revision"

FILE = """\
name: shop
namespace: {namespace}
workloads:
  web: {{environment: {{IDENTITY: local}}, ports: ["8080", "7000", "7003"]}}
"""


async def deploy_twice(world: World) -> None:
    """Two releases, so that ``rollout undo`` has somewhere to go; the Service names numbers, so that it is
    patched; the manifest is applied by somebody who will apply it again."""
    world.write(FILE.format(namespace=world.namespace))
    await world.deploy(numeric=True)
    await apply(world, dry_run=False)
    await world.available("web")


async def apply(world: World, *, dry_run: bool = True) -> Json:
    """The second release as a GitOps tool applies it; without force, so a stolen field is a conflict."""
    body = deployment("web", world.app, strategy="RollingUpdate", replicas=1, container=None, pod=None)
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container["env"] = [*container["env"], {"name": "RELEASE", "value": "2"}]
    query = {"fieldManager": "gitops", "force": "false"} | ({"dryRun": "All"} if dry_run else {})
    body = {"apiVersion": "apps/v1", "kind": "Deployment"} | body
    where = path_of("deployment", world.namespace, "web")
    await world.cluster.transport.request("PATCH", where, "patch", query=query, body=body, content=_APPLY)
    return await world.cluster.get("deployment", "web", world.namespace)


async def snapshot(world: World) -> Json:
    """All that ``down`` has to bring back."""
    cluster, space = world.cluster, world.namespace
    found: Json = {"docker": world.docker_leftovers()}
    for kind in ("deployment", "service"):
        found[kind] = _kept(await cluster.get(kind, "web", space))
    sets = (await cluster.list("replicaset", space)).items
    found["releases"] = {item["metadata"]["name"]: _kept(item) for item in sets}
    for kind in ("secret", "configmap"):
        listing = await cluster.list(kind, space)
        found[kind] = sorted(item["metadata"]["name"] for item in listing.items)
    return found


def _kept(item: Json) -> Json:
    """What does not change by itself."""
    metadata = item["metadata"]
    notes = {key: metadata.get(key) for key in ("annotations", "labels", "ownerReferences", "finalizers")}
    managers = [
        {key: value for key, value in entry.items() if key != "time"}
        for entry in metadata.get("managedFields") or []
        if entry.get("subresource") != "status" and "controller" not in entry["manager"]
    ]
    return notes | {"spec": item["spec"], "managers": sorted(managers, key=repr)}


def _lines(state: Json) -> list[str]:
    """One value a line, so that a failure shows what differs and nothing else."""
    return json.dumps(state, indent=1, sort_keys=True).splitlines()


def undo_target(state: Json) -> Json:
    """The template to which ``kubectl rollout undo`` would go: the newest but one."""
    sets = sorted(state["releases"].values(), key=lambda item: int(item["annotations"][_REVISION]))
    template: Json = sets[-2]["spec"]["template"]
    return template


async def assert_as_before(world: World, before: Json) -> None:
    now = await snapshot(world)
    differs = "\n".join(difflib.unified_diff(_lines(before), _lines(now), "before", "now", lineterm=""))
    assert not differs, differs
    assert undo_target(now) == undo_target(before)
    live = await world.cluster.get("deployment", "web", world.namespace)
    assert (await apply(world))["spec"] == live["spec"]


async def dying(
    world: World, *words: str, step: str, record: Path | None = None, when: str = "after"
) -> Done:
    """The command, which ends by SIGKILL at *step* in this process or in its host process."""
    environ = {STEP: step, WHEN: when} | ({RECORD: str(record)} if record else {})
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.scenarios.die_after",
        "--",
        *words,
        cwd=world.folder,
        env=world.environ | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(_GUARD):
        out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


def host_processes(world: World) -> list[int]:
    """Those of this world that live; a project has one."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if world.namespace in words and "shop" in words and state != "Z":
                found.append(int(folder.name))
    return found


def kill_host(world: World) -> None:
    (number,) = host_processes(world)
    os.kill(number, signal.SIGKILL)


def other_laptop(world: World) -> World:
    """Another folder without a file (here and above), another folder of state, another name; the engine is
    the same."""
    folder = world.folder.with_name(f"{world.folder.name}-other")
    folder.mkdir(exist_ok=True)
    environ = {"XDG_STATE_HOME": str(folder / "state"), "LOGNAME": "somebody-else", "USER": "somebody-else"}
    return replace(world, folder=folder, environ=world.environ | environ)


async def down_anywhere(world: World, where: str) -> Done:
    """``down`` from the *same* laptop, or from an *other* one."""
    if where == "same":
        return await world.devcluster("down")
    return await other_laptop(world).devcluster("down", "-n", world.namespace)
