"""A namespace of the test cluster with a small application in it, and the agent to put into it.

The application is ``apps/kube``: a static program in an image ``FROM scratch`` whose command has dollar
signs.  It is loaded into the node by its containerd, since no registry is needed for a test.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import fcntl
import os
import secrets
import subprocess
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml

from devcluster.config.model import Target
from devcluster.edge.kube.agent import AgentBinary, load_binary, make_binary
from devcluster.edge.kube.cluster import Cluster, Json, open_cluster
from devcluster.edge.kube.workload import find_workload
from devcluster.errors import FailedError
from devcluster.plan.install import InstallPlan, Wish, plan_install
from devcluster.rules.cluster.identity import WorkloadRef
from devcluster.rules.container.image import ImageFacts
from devcluster.run.cluster.observe import observe
from devcluster.run.cluster.rollout import await_rollout
from devcluster.run.turn import Turn

APP = Path(__file__).parent / "apps" / "kube"
IMAGE = "devcluster-test-kube"
FACTS = ImageFacts("", ("/app",), ("--price=$5", "$(HOME)"), None, "", "/", "amd64", ())
TESTER = "tester"


def find_binary() -> AgentBinary:
    """The real agent; DEVCLUSTER_TEST_AGENT names a folder with ``boot`` and ``devcluster-agent`` instead."""
    folder = os.environ.get("DEVCLUSTER_TEST_AGENT")
    if folder:
        path = Path(folder)
        return make_binary((path / "boot").read_bytes(), (path / "devcluster-agent").read_bytes())
    try:
        return load_binary()
    except FailedError as error:
        raise AssertionError("scripts/build_agent.py makes the agent") from error


def load_images(kubeconfig: Path, build: Path, versions: tuple[str, ...] = ("1", "2", "3")) -> None:
    """Build the application in each version and give it to the cluster's node; one worker of pytest's at a
    time, since the engine's tags are everybody's."""
    with (Path(tempfile.gettempdir()) / "devcluster-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _load_images(kubeconfig, build, versions)


def _load_images(kubeconfig: Path, build: Path, versions: tuple[str, ...]) -> None:
    environ = os.environ | {"CGO_ENABLED": "0"}
    command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(build / "app"), "."]
    subprocess.run(command, cwd=APP, env=environ, check=True, timeout=300)
    (build / "Dockerfile").write_bytes((APP / "Dockerfile").read_bytes())
    tags = [f"{IMAGE}:{version}" for version in versions]
    for version, tag in zip(versions, tags, strict=True):
        words = ["docker", "build", "-q", "--build-arg", f"VERSION={version}", "-t", tag, str(build)]
        subprocess.run(words, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    archive = build / "images.tar"
    subprocess.run(["docker", "save", "-o", str(archive), *tags], check=True, timeout=120)
    load = ["docker", "exec", "-i", node_of(kubeconfig), "ctr", "-n", "k8s.io", "images", "import", "-"]
    with archive.open("rb") as file:
        subprocess.run(load, stdin=file, check=True, timeout=120, stdout=subprocess.DEVNULL)
    subprocess.run(["docker", "rmi", *tags], check=True, timeout=60, stdout=subprocess.DEVNULL)


def node_of(kubeconfig: Path) -> str:
    """The container that publishes the API server's port."""
    server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    words = ["docker", "ps", "--filter", f"publish={urlsplit(server).port}", "--format", "{{.Names}}"]
    found = subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout.split()
    if not found:
        raise AssertionError("the cluster's node is not a container of this machine")
    return found[0]


@dataclass(frozen=True, slots=True)
class World:
    """A namespace of one test."""

    cluster: Cluster
    namespace: str
    binary: AgentBinary

    async def deploy(
        self, name: str = "web", *, strategy: str = "RollingUpdate", second: bool = True
    ) -> Json:
        """The application, in its *second* revision, with a named and a numeric Service; available."""
        body = deployment(name, strategy)
        await self.cluster.create("deployment", body, self.namespace, manager=TESTER)
        for service, target in ((name, "http"), (f"{name}-number", 8080)):
            ports = [{"port": 80, "targetPort": target}]
            item = {"metadata": {"name": service}, "spec": {"selector": {"app": name}, "ports": ports}}
            await self.cluster.create("service", item, self.namespace, manager=TESTER)
        await self.settle(name)
        if second:
            await self.release(name, {"env": [{"name": "SECOND", "value": "revision"}]}, wrapped=False)
        return await self.cluster.get("deployment", name, self.namespace)

    def ref(self, name: str = "web") -> WorkloadRef:
        return WorkloadRef("deployment", self.namespace, name)

    async def settle(self, name: str = "web", *, wrapped: bool = False) -> None:
        await await_rollout(
            self.cluster,
            self.ref(name),
            container="web",
            wrapped=wrapped,
            ready=True,
            turn=Turn.of(60),
        )

    async def release(self, name: str, container: Json, *, wrapped: bool) -> None:
        """What a teammate does: ``kubectl set image``, ``kubectl set env``."""
        body = {"spec": {"template": {"spec": {"containers": [{"name": "web"} | container]}}}}
        await self.cluster.patch(
            "deployment", name, self.namespace, body, type="strategic", manager="teammate"
        )
        await self.settle(name, wrapped=wrapped)

    async def plan(self, name: str = "web", **wish: Any) -> InstallPlan:
        workload = await find_workload(self.cluster, Target(name), self.namespace)
        words: dict[str, Any] = {
            "digest": self.binary.digest,
            "chunks": self.binary.chunks,
            "image": FACTS,
        } | wish
        return plan_install(await observe(self.cluster, workload), Wish(**words))

    async def history(self, name: str = "web") -> list[tuple[str, str, str, str]]:
        """As ``kubectl rollout history`` would tell: revision, former ones, image; and the ReplicaSet."""
        live = await self.cluster.get("deployment", name, self.namespace)
        listing = await self.cluster.list("replicaset", self.namespace, selector=f"app={name}")
        prefix = "deployment.kubernetes.io/revision"
        rows = [("deployment", live["metadata"]["annotations"][prefix], "", "")]
        for item in listing.items:
            notes = item["metadata"]["annotations"]
            image = item["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
            rows.append((item["metadata"]["name"], notes[prefix], notes.get(f"{prefix}-history", ""), image))
        return sorted(rows)

    async def ours(self) -> list[str]:
        """Whatever of devcluster stands in the namespace."""
        found = []
        for kind in ("secret", "configmap"):
            listing = await self.cluster.list(kind, self.namespace, metadata_only=True)
            found += [item["metadata"]["name"] for item in listing.items]
        return sorted(name for name in found if name.startswith("devcluster"))


def deployment(name: str, strategy: str) -> Json:
    container = {
        "name": "web",
        "image": f"{IMAGE}:1",
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1},
        "resources": {"limits": {"memory": "64Mi"}},
    }
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
    }
    words = {"replicas": 1, "strategy": {"type": strategy}, "selector": {"matchLabels": {"app": name}}}
    return {"metadata": {"name": name}, "spec": words | {"template": template}}


@contextlib.asynccontextmanager
async def open_world(binary: AgentBinary | None = None) -> AsyncIterator[World]:
    """A fresh namespace in the cluster of KUBECONFIG; gone, without waiting, at the end."""
    namespace = f"kubeh-{secrets.token_hex(4)}"
    async with open_cluster() as cluster:
        await cluster.create("namespace", {"metadata": {"name": namespace}})
        try:
            async with asyncio.timeout(30):
                states = cluster.watch_all("serviceaccount", namespace)
                async with contextlib.aclosing(states):
                    async for items in states:
                        if items:
                            break
            yield World(cluster, namespace, binary or make_binary(b"", b""))
        finally:
            await cluster.delete("namespace", namespace)


def write_config(path: Path, given: Path, user: Json, **cluster: Any) -> None:
    """*given* with another user, and another cluster where said."""
    config = yaml.safe_load(given.read_text())
    config["users"][0]["user"] = user
    config["clusters"][0]["cluster"] |= cluster
    path.write_text(yaml.safe_dump(config))


class Namespaced(Protocol):
    """Any world: a cluster and a namespace of its own."""

    @property
    def cluster(self) -> Cluster: ...

    @property
    def namespace(self) -> str: ...


async def token_of(world: Namespaced, *rules: Json) -> str:
    """A token of a ServiceAccount with these rights and no others."""
    body = {"metadata": {"name": "limited"}}
    await world.cluster.create("serviceaccount", body, world.namespace)
    await world.cluster.create("role", body | {"rules": list(rules)}, world.namespace)
    subject = {"kind": "ServiceAccount", "name": "limited", "namespace": world.namespace}
    role = {"kind": "Role", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}
    await world.cluster.create(
        "rolebinding", body | {"roleRef": role, "subjects": [subject]}, world.namespace
    )
    secret = {
        "metadata": {"name": "token", "annotations": {"kubernetes.io/service-account.name": "limited"}},
        "type": "kubernetes.io/service-account-token",
    }
    await world.cluster.create("secret", secret, world.namespace)
    async with asyncio.timeout(20):
        states = world.cluster.watch_all("secret", world.namespace, fields="metadata.name=token")
        async with contextlib.aclosing(states):
            async for items in states:
                if items and items[0].get("data", {}).get("token"):
                    return base64.b64decode(items[0]["data"]["token"]).decode()
    raise AssertionError("no token")
