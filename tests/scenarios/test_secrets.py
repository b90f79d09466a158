"""Values of the environment, and files of a mounted Secret, arrive and come out nowhere else.

They are planted in each place that they can come from, and looked for in each that says something: output
of the commands (but of `env`, whose it is), command lines, Docker's word on our containers, the agent's log,
events, objects of the cluster, and every file that the commands leave on the laptop.  `--verbose` throughout.
The local container itself has the environment in its configuration, as with `docker run --env`.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.scenarios.laptops import host_process
from tests.scenarios.planted import Planted, Watch, watching
from tests.scenarios.world import Done, World

Json = dict[str, Any]

_TRACES = Path(__file__).parent / "traces"
_VALUES = {
    "PLAIN": "{} a=b=c",
    "LINES": "{} one\ntwo\n",
    "QUOTES": "{} 'single' \"double\" \\back",
    "DOLLAR": "{} $HOME ${{X}} $",
    "UNICODE": "{} žluťoučký 🐎",
    "EMPTY": "",
}
_TEMPLATE = {"literal", "excluded", "replaced"}  # what the template says itself
_ELSEWHERE = {"key", "url", "all"}  # what stands in Secrets, as variables
_WRITTEN = {"written", "envfile", "dotenv", "shell"}


def test_a_planted_value_is_found_in_each_coat() -> None:
    planted = Planted()
    value = planted.value("key")
    assert planted.find(f"x{value} x") == ["key"]
    assert planted.find(planted.word) == ["?"]
    assert Planted().find(value * 2) == []
    for before in range(4):
        whole = b"DSN://"[:before] + value.encode() + b"/tail"
        assert planted.find(base64.b64encode(whole)) == ["base64"]
        assert planted.find(whole.hex()) == ["hex"]


def test_a_command_line_is_seen_as_long_as_it_lives() -> None:
    planted = Planted()
    with watching(planted, "none") as watch:
        subprocess.run(
            [sys.executable, "-c", "import time; time.sleep(0.5)", planted.value("key")], check=True
        )
    assert [planted.find(line) for line in watch.lines] == [["key"]]


async def test_the_environment_arrives_byte_for_byte_and_is_told_to_nobody(world: World) -> None:
    planted = Planted()
    values = {name: form.format(planted.value("literal")) for name, form in _VALUES.items()}
    await _deploy(world, planted, values)
    _write_file(world, planted)
    said: list[Done] = []
    with watching(planted, world.project) as watch:
        said += [await _run(world, "plan"), await _run(world, "plan", "-o", "json")]
        said.append(await _run(world, "up", "-d"))
        _arrived(world, planted, values)
        said += await _look_around(world, planted, values)
        _nothing_on_the_laptop(world, planted)
        _nothing_in_docker(world, planted)
        said += [await _run(world, *words) for words in (("restart", "web"), ("leave",))]
        said += [await _failed(world), await _in_front(world)]
        _nothing_on_the_laptop(world, planted)
        await _nothing_in_the_cluster(world, planted)
        said.append(await _run(world, "down"))
    _nothing_on_the_laptop(world, planted)
    assert [planted.find(one.stdout + one.stderr) for one in said] == [[]] * len(said)
    _nothing_seen(world, planted, watch)


async def _run(world: World, *words: str, code: int = 0) -> Done:
    return await world.devcluster("--verbose", *words, code=code)


async def _failed(world: World) -> Done:
    """`up` of a container that ends at once: the error says what it can."""
    text = (world.folder / "devcluster.yaml").read_text()
    world.write(text + "    command: [nosuch]\n")
    done = await _run(world, "up", "-d", code=1)
    assert "error:" in done.stderr
    world.write(text)
    return done


async def _in_front(world: World) -> Done:
    """`up` itself until it is attached, and ^C."""
    process = await world.start("--verbose", "up")
    await world.until_state("attached")
    verified = await _run(world, "status", "--verify")
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130, err
    return Done(0, verified.stdout + out.decode(), verified.stderr + err.decode())


async def _deploy(world: World, planted: Planted, values: dict[str, str]) -> None:
    """With a value from each place that a pod's environment and files can come from, and a hook that fails,
    so that the agent has something to log."""
    plain = {"IDENTITY": "original", "GONE": planted.value("excluded"), "MINE": planted.value("replaced")}
    data = {"key": planted.value("key"), "url": f"mysql://app:{planted.value('url')}@web:3306/x"}
    files = {"token": planted.value("file"), "app.ini": f"host = web\npassword = {planted.value('line')}\n"}
    for name, rows in (("one", data), ("all", {"EVERY": planted.value("all")}), ("files", files)):
        body = {"metadata": {"name": name}, "stringData": rows}
        await world.cluster.create("secret", body, world.namespace, manager="tester")
    env: list[Json] = [{"name": name, "value": value} for name, value in (plain | values).items()]
    env += [
        {"name": f"ONE_{key.upper()}", "valueFrom": {"secretKeyRef": {"name": "one", "key": key}}}
        for key in data
    ]
    container = {
        "env": env,
        "envFrom": [{"prefix": "ALL_", "secretRef": {"name": "all"}}],
        "volumeMounts": [{"name": "credentials", "mountPath": "/etc/credentials"}],
        "lifecycle": {"preStop": {"exec": {"command": ["/app", "nosuch"]}}},
    }
    volumes = [{"name": "credentials", "secret": {"secretName": "files"}}]
    await world.deploy(container=container, pod={"volumes": volumes})


def _write_file(world: World, planted: Planted) -> None:
    """The file's own values, from each place that it can have them from."""
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        f"    environment:\n      IDENTITY: local\n      MINE: {planted.value('written')}\n"
        "      DOT: '${DOT}'\n      SHELL_TOKEN:\n"
        "    env_file: [.env.local]\n    env: {exclude: [GO*]}\n"
        "    volumes: {credentials: {rewrite: [app.ini]}}\n"
    )
    world.write(f"BY_FILE={planted.value('envfile')}\n", ".env.local")
    world.write(f"DOT={planted.value('dotenv')}\n", ".env")
    world.environ |= {
        "SHELL_TOKEN": planted.value("shell"),
        "TRACES": str(world.folder / "traces"),
        "PYTHONPATH": os.pathsep.join([str(_TRACES), world.environ["PYTHONPATH"]]),
    }


def _arrived(world: World, planted: Planted, values: dict[str, str]) -> None:
    """As the kernel gave it to the application itself."""
    (container,) = world.containers("web", "workload")
    command = ["docker", "inspect", "--format", "{{.State.Pid}}", container]
    pid = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    got = dict(item.decode().split("=", 1) for item in raw if item)
    wanted = {
        "IDENTITY": "local",
        "MINE": planted.value("written"),
        "BY_FILE": planted.value("envfile"),
        "DOT": planted.value("dotenv"),
        "SHELL_TOKEN": planted.value("shell"),
        "ONE_KEY": planted.value("key"),
        "ONE_URL": f"mysql://app:{planted.value('url')}@web.{world.namespace}:3306/x",
        "ALL_EVERY": planted.value("all"),
    }
    assert {name: got.get(name) for name in wanted | values} == wanted | values
    assert "GONE" not in got
    copied = ["docker", "cp", f"{container}:/etc/credentials/..data/app.ini", "-"]
    line = f"host = web.{world.namespace}\npassword = {planted.value('line')}\n"
    assert line.encode() in subprocess.run(copied, capture_output=True, check=True).stdout


async def _look_around(world: World, planted: Planted, values: dict[str, str]) -> list[Done]:
    """What the commands that only look say; `env` says the values, and nothing on the way."""
    told = await _run(world, "env", "web", "--format", "json")
    assert {name: json.loads(told.stdout)[name] for name in values} == values
    raw = await _run(world, "env", "web", "--raw", "--format", "yaml")
    assert set(planted.find(told.stdout)) == {"literal", *_ELSEWHERE, *_WRITTEN}
    refused = await _run(world, "env", "web", "--format", "docker", code=2)
    assert "can't carry LINES" in refused.stderr
    said = [Done(one.code, "", one.stderr) for one in (told, raw)] + [refused]
    said.append(await _run(world, "exec", "web", "--", "/app", "resolve", "web"))
    said.append(await _run(world, "exec", "web", "--", "/app", "nosuch", code=1))
    for words in ("status", "status -o json", "list", "plan", "plan -o json", "config", "config -o json"):
        said.append(await _run(world, *words.split()))
    for words in ("logs web", "doctor", "role", "up -d", "up -d nosuch"):
        said.append(await _run(world, *words.split(), code=2 if "nosuch" in words else 0))
    return said


def _nothing_on_the_laptop(world: World, planted: Planted) -> None:
    """The log, manifests of the copies, whatever else was written; what was started."""
    traces = world.folder / "traces"
    noted = [json.loads(line) for line in traces.read_text().splitlines()]
    paths = {Path(one["written"]) for one in noted if "written" in one} | {traces}
    files = [path for path in (*paths, *(world.folder / "state").rglob("*")) if path.is_file()]
    assert {"session.log", "traces"} <= {path.name for path in files}
    assert {path: planted.find(path.read_bytes()) for path in files} == {path: [] for path in files}


def _nothing_in_docker(world: World, planted: Planted) -> None:
    """What our own containers have said; the host process has of the values what its shell gave to it."""
    for role in ("netns", "gateway"):
        (container,) = world.containers("web", role)
        done = subprocess.run(["docker", "logs", container], capture_output=True, check=True, timeout=60)
        assert planted.find(done.stdout + done.stderr) == []
    environ = Path(f"/proc/{host_process(world)}/environ").read_bytes()
    assert planted.find(environ) == ["shell"]


async def _nothing_in_the_cluster(world: World, planted: Planted) -> None:
    cluster, namespace = world.cluster, world.namespace
    events = (await cluster.list("event", namespace)).items
    assert events
    assert planted.find(json.dumps(events)) == []
    (pod,) = await _pods(world)
    log = await cluster.pod_logs(pod, namespace, container="web", lines=10_000)
    assert "devcluster-agent: the preStop hook failed" in log
    assert planted.find(log) == []

    for kind in ("configmap", "service", "deployment", "replicaset", "pod"):
        items = (await cluster.list(kind, namespace)).items
        assert items
        whole = kind in ("configmap", "service")  # the others hold the template
        assert planted.find(json.dumps([one if whole else one["metadata"] for one in items])) == []
    ours = await cluster.get("secret", "devcluster-deployment-web", namespace)
    data = {name: base64.b64decode(value) for name, value in ours["data"].items()}
    assert set(planted.find(data.pop("originals.json"))) <= _TEMPLATE  # the template as it stood
    assert {name: planted.find(value) for name, value in data.items()} == {name: [] for name in data}


async def _pods(world: World) -> list[str]:
    found = await world.cluster.list("pod", world.namespace, selector="app=web")
    return [it["metadata"]["name"] for it in found.items if not it["metadata"].get("deletionTimestamp")]


def _nothing_seen(world: World, planted: Planted, watch: Watch) -> None:
    """While the commands ran."""
    print(f"{watch.looks} looks at all command lines, {len(watch.containers)} containers as they were made")
    assert watch.looks > 100
    assert watch.lines == set()
    assert {"netns", "gateway", "files", "workload"} <= watch.roles()
    assert [role for role in watch.roles() - {"workload"} if planted.find(watch.told(role))] == []
    assert set(planted.find(watch.told("workload"))) >= _ELSEWHERE  # as of any container
    assert "devcluster.run.host.process" in (world.folder / "traces").read_text()
