"""What the scenarios share: a namespace, a folder with a devcluster.yaml, the command as users run it, and
questions asked from inside the cluster.

Everything is judged by state: who answered (an id that stands in one log and not in the other), what the
workload's template is, what is left.  A question is asked by a pod in the cluster: Docker's own DNS answers
a bare name on the laptop, which would prove nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker

from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.rules.container.docker_names import project_id
from tests.apps.build import build_test_images
from tests.edge.cluster_world import node_of
from tests.scenarios.asker import ask_who_stays
from tests.scenarios.forking import ROOT, run_forked

Json = dict[str, Any]
_GUARD = 180.0  # seconds for one command: three times what is promised of the slowest


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass(slots=True)
class World:
    """One scenario's.  ``app``: the test application's image; ``folder``: where the file is."""

    cluster: Cluster
    namespace: str
    folder: Path
    app: str
    environ: dict[str, str] = field(repr=False)
    before: tuple[str, ...] = ()  # words before each command
    asker: Json = field(default_factory=dict)  # what the asking pod's container must say besides

    def write(self, text: str, name: str = "devcluster.yaml") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    async def devcluster(
        self, *words: str, code: int | None = 0, environ: Mapping[str, str] | None = None
    ) -> Done:
        """Run the command to its end; *code* None: any will do."""
        environment = self.environ | dict(environ or {})
        async with asyncio.timeout(_GUARD):
            if self.before:  # another program runs it
                process = await self.start(*words, environ=environ)
                out, err = await process.communicate()
                ended = process.returncode or 0
            else:
                ended, out, err = await run_forked(words, self.folder, environment)
        done = Done(ended, out.decode(), err.decode())
        assert code is None or done.code == code, f"{words}: {done.code}\n{done.stdout}\n{done.stderr}"
        return done

    async def start(
        self, *words: str, environ: Mapping[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """The command in the foreground; the caller ends it."""
        return await asyncio.create_subprocess_exec(
            *self.before,
            sys.executable,
            "-m",
            "devcluster",
            *words,
            cwd=self.folder,
            env=self.environ | dict(environ or {}),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def status(self, name: str = "web") -> Json:
        rows = (await self.devcluster("status", "-o", "json")).json["workloads"]
        found: Json = next(row for row in rows if row["name"] == name)
        return found

    async def until_state(self, state: str, name: str = "web", guard: float = _GUARD) -> Json:
        return await self.until_status(lambda row: bool(row["state"] == state), name, guard)

    async def until_status(
        self, holds: Callable[[Json], bool], name: str = "web", guard: float = _GUARD
    ) -> Json:
        """The first row that is as wanted."""
        async with asyncio.timeout(guard):
            while not holds(row := await self.status(name)):
                await asyncio.sleep(0.2)
        return row

    async def until_attached(self, pods: int, name: str = "web") -> None:
        """Until each of *pods* is held and answers by us."""

        def all_of_them(row: Json) -> bool:
            states = [pod["state"] for pod in row["pods"]]
            return bool(row["state"] == "attached") and states == ["attached"] * pods

        await self.until_status(all_of_them, name)

    async def until_who(self, identity: str, guard: float = 30, count: int = 5, service: str = "web") -> None:
        """kube-proxy learns of a pod that came or goes a moment later.  *count* must be larger where one of
        several pods goes, which not every request would have reached; nobody answers at the address of a
        pod that is gone."""
        async with asyncio.timeout(guard):
            while await self.answered(f"http://{service}/", count, "-each", "3s") != {identity: count}:
                await asyncio.sleep(0.2)

    async def deploy(
        self,
        name: str = "web",
        *,
        strategy: str = "RollingUpdate",
        replicas: int = 1,
        container: Json | None = None,
        pod: Json | None = None,
        numeric: bool = False,
    ) -> Json:
        """The test application as Deployment and Service *name*, available; the Deployment."""
        body = deployment(name, self.app, strategy=strategy, replicas=replicas, container=container, pod=pod)
        await self.cluster.create("deployment", body, self.namespace, manager="tester")
        ports = [
            {"name": "http", "port": 80, "targetPort": 8080 if numeric else "http"},
            {"name": "echo", "port": 7000, "targetPort": 7000 if numeric else "echo"},
            {"name": "reset", "port": 7003, "targetPort": 7003 if numeric else "reset"},
        ]
        service = {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
        await self.cluster.create("service", service, self.namespace, manager="tester")
        return await self.available(name)

    async def available(self, name: str) -> Json:
        """The Deployment, once all of it is rolled out and available."""
        async with asyncio.timeout(_GUARD):
            states = self.cluster.watch_all("deployment", self.namespace, fields=f"metadata.name={name}")
            async with contextlib.aclosing(states):
                async for items in states:
                    if items and is_rolled_out(items[0]):
                        return items[0]
        raise AssertionError(f"deployment/{name} is gone")

    async def template(self, name: str = "web") -> Json:
        item = await self.cluster.get("deployment", name, self.namespace)
        found: Json = item["spec"]["template"]
        return found

    async def ask(
        self,
        *words: str,
        image: str | None = None,
        code: int = 0,
        environ: Mapping[str, str] | None = None,
        guard: float = _GUARD,
    ) -> Json:
        """What a pod in the cluster sees: the test application's client, its one line of JSON."""
        name = f"ask-{secrets.token_hex(4)}"
        env = [{"name": name, "value": value} for name, value in (environ or {}).items()]
        container = {"name": "ask", "image": image or self.app, "args": list(words), "env": env} | self.asker
        spec = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 0}
        await self.cluster.create("pod", {"metadata": {"name": name}, "spec": spec}, self.namespace)
        try:
            async with asyncio.timeout(guard):
                ended = await self._pod_end(name)
            log = await self.cluster.pod_logs(name, self.namespace, container="ask", lines=1000)
            assert ended == code, f"{words} ended with {ended}: {log}"
            lines = [line for line in log.splitlines() if line.startswith("{")]
            answer: Json = json.loads(lines[-1]) if lines else {}
            return answer
        finally:
            await self.cluster.delete("pod", name, self.namespace)

    async def _pod_end(self, name: str) -> int:
        states = self.cluster.watch_all("pod", self.namespace, fields=f"metadata.name={name}")
        async with contextlib.aclosing(states):
            async for items in states:
                for status in (items[0].get("status") or {}).get("containerStatuses") or [] if items else []:
                    if ended := (status.get("state") or {}).get("terminated"):
                        return int(ended["exitCode"])
        raise AssertionError(f"pod/{name} is gone")

    async def who(self, count: int = 20, service: str = "web") -> dict[str, int]:
        """How many of *count* requests on fresh connections each identity answered; errors count as such."""
        return await self.answered(f"http://{service}/", count)

    async def answered(self, url: str, count: int = 1, *more: str) -> dict[str, int]:
        """The same of any *url*; *more*: the client's options."""
        words = ("client", "http", "-n", str(count), "-url", url, *more)
        if self.asker:
            seen = await self.ask(*words)
        else:
            seen = await ask_who_stays(self.cluster, self.namespace, self.app, words)
        identities: dict[str, int] = dict(seen["identity"])
        return identities | dict(seen["errors"])

    def local_log(self, key: str = "web") -> str:
        """What the local container said."""
        found = self.containers(key, "workload")
        return self._run(["docker", "logs", found[0]]).stdout

    def in_local(self, key: str, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A command in the local container."""
        command = ["docker", "exec", self.containers(key, "workload")[0], *words]
        return self._run(command, check=False, timeout=timeout)

    def engine(self, *words: str) -> str:
        """A command of docker's."""
        return self._run(["docker", *words]).stdout

    def halt_local(self, key: str = "web") -> None:
        """As a debugger does: the program in the local container stands still.  Process 1 is Docker's."""
        _, _, *processes = self.engine("top", self.containers(key, "workload")[0], "-o", "pid").split()
        for process in processes:
            os.kill(int(process), signal.SIGSTOP)

    def local_user(self, key: str = "web") -> str:
        """As whom the local container runs."""
        command = ["docker", "inspect", "--format", "{{.Config.User}}", *self.containers(key, "workload")]
        return self._run(command).stdout.strip()

    def containers(self, key: str, role: str) -> list[str]:
        labels = [f"label=devcluster.workload={key}", f"label=devcluster.role={role}"]
        labels.append(f"label=devcluster.project={self.project}")
        command = ["docker", "ps", "-a", "--format", "{{.Names}}"]
        for label in labels:
            command += ["--filter", label]
        return self._run(command).stdout.split()

    def _run(
        self, command: list[str], *, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Of the engine that the laptop uses."""
        return subprocess.run(
            command, capture_output=True, text=True, check=check, timeout=timeout, env=self.environ
        )

    @property
    def project(self) -> str:
        """What the project is called in Docker."""
        return project_id(self.cluster.context, self.namespace, "shop")

    def docker_leftovers(self) -> list[str]:
        """Everything in Docker that carries the project's label."""
        found = []
        for kind, listing in (("ps", "-aq"), ("network", "ls"), ("volume", "ls")):
            words = [kind, listing] if listing == "-aq" else [kind, listing, "-q"]
            command = ["docker", *words, "--filter", f"label=devcluster.project={self.project}"]
            found += [f"{kind} {name}" for name in self._run(command).stdout.split()]
        return sorted(found)

    async def cluster_leftovers(self) -> list[str]:
        """Everything of ours in the namespace."""
        found = []
        for kind in ("secret", "configmap"):
            listing = await self.cluster.list(
                kind, self.namespace, selector="app.kubernetes.io/managed-by=devcluster"
            )
            found += [f"{kind}/{item['metadata']['name']}" for item in listing.items]
        return sorted(found)


def deployment(
    name: str, image: str, *, strategy: str, replicas: int, container: Json | None, pod: Json | None
) -> Json:
    """The test application: HTTP that tells its IDENTITY, a TCP echo, and a port that resets."""
    base: Json = {
        "name": name,
        "image": image,
        "args": ["serve", "http=:8080", "echo=:7000", "reset=:7003"],
        "env": [{"name": "IDENTITY", "value": "original"}],
        "ports": [
            {"name": "http", "containerPort": 8080},
            {"name": "echo", "containerPort": 7000},
            {"name": "reset", "containerPort": 7003},
        ],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 5, "containers": [base | (container or {})]} | (pod or {})
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "strategy": {"type": strategy},
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }


def is_rolled_out(item: Json) -> bool:
    status, wanted = item.get("status") or {}, item["spec"].get("replicas", 1)
    fresh = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    counts = [status.get(key, 0) for key in ("updatedReplicas", "availableReplicas", "replicas")]
    return fresh and counts == [wanted] * 3


def load_app(kubeconfig: Path) -> str:
    """Build the test application's image and give it to the cluster's node."""
    client = docker.from_env()
    try:
        (tag,) = build_test_images(client)
    finally:
        client.close()
    give_to_node(kubeconfig, tag)
    return tag


def give_to_node(kubeconfig: Path, tag: str) -> None:
    """*tag*, from the local engine to the cluster's node, without a registry."""
    node = node_of(kubeconfig)
    load = ["docker", "exec", "-i", node, "ctr", "-n", "k8s.io", "images", "import", "-"]
    with subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE) as save:
        subprocess.run(load, stdin=save.stdout, check=True, timeout=120, stdout=subprocess.DEVNULL)


@contextlib.asynccontextmanager
async def open_world(kubeconfig: Path, folder: Path, app: str) -> AsyncIterator[World]:
    """A namespace that is removed at the end, after a ``down`` that takes along what a failure left."""
    namespace = f"scenario-{secrets.token_hex(4)}"
    environ = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
    }
    os.environ["KUBECONFIG"] = str(kubeconfig)
    async with open_cluster(None) as cluster:
        await cluster.create("namespace", {"metadata": {"name": namespace}})
        world = World(cluster, namespace, folder, app, environ)
        world.write(
            f"name: shop\nnamespace: {namespace}\nworkloads:\n  web: {{environment: {{IDENTITY: local}}}}\n"
        )
        try:
            yield world
        finally:
            if not await _is_clean(world):
                await world.devcluster("down", "--volumes", code=None)
            await cluster.delete("namespace", namespace)


async def _is_clean(world: World) -> bool:
    try:
        return not (world.docker_leftovers() or await world.cluster_leftovers())
    except subprocess.CalledProcessError:  # the scenario's engine is one that does not answer
        return False
