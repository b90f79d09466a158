"""A WordPress of a module's own: `devcluster example wordpress up` in a fresh namespace, and who asks it.

A test of a module may rely on nothing but what the fixture says: the example stands and its front page
answers.  Questions are asked by pods of the example's own image, which has PHP and a MariaDB client: the
same few lines run there and in the local container, so that both answers can be compared as they are.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devcluster.edge.kube.cluster import open_cluster
from devcluster.errors import NotFoundError
from tests.scenarios.world import Done, World

Json = dict[str, Any]
_ROOT = Path(__file__).resolve().parent.parent.parent
_OURS = "app.kubernetes.io/name=wordpress"

# Each request on a connection of its own, with an id that the access log shows.
_ASK = r"""
[, $url, $count, $id, $text] = $argv;
$seen = [];
for ($i = 0; $i < $count; $i++) {
  $header = ["X-Request-Id: $id-$i.", 'Connection: close'];
  $http = ['header' => $header, 'timeout' => 30, 'follow_location' => 0, 'ignore_errors' => true];
  $tls = ['verify_peer' => false, 'verify_peer_name' => false];
  $body = @file_get_contents($url, false, stream_context_create(['http' => $http, 'ssl' => $tls]));
  $said = $body === false ? 'no answer' : explode(' ', $http_response_header[0])[1];
  $said .= str_contains((string) $body, $text) ? '' : ' without the text';
  $seen[$said] = ($seen[$said] ?? 0) + 1;
}
echo json_encode(['address' => gethostbyname(gethostname()), 'seen' => $seen]), "\n";
"""

# Every file of the claim, with what it holds, to whom it belongs, and when it was changed.
_CLAIM = r"""
$found = [];
$flags = FilesystemIterator::SKIP_DOTS;
$walk = new RecursiveDirectoryIterator('/claim', $flags);
foreach (new RecursiveIteratorIterator($walk, RecursiveIteratorIterator::SELF_FIRST) as $path => $info) {
  $hash = $info->isFile() ? hash_file('sha256', $path) : $info->getType();
  $row = [$hash, $info->getPerms(), $info->getOwner(), $info->getGroup()];
  $found[substr($path, 7)] = [...$row, $info->isFile() ? $info->getMTime() : 0];
}
echo json_encode($found), "\n";
"""


_WRITE = r"""
echo json_encode(file_put_contents($argv[1], $argv[2])), "\n";
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """``seen``: how often which status; ``here``, ``there``: whose access log has how many of the ids."""

    seen: dict[str, int]
    here: int
    there: int
    caller: str
    callers_here: frozenset[str]


@dataclass(slots=True)
class WordPress(World):
    """``image``: the example's; ``password``: of WordPress' user."""

    image: str = ""
    password: str = field(default="", repr=False)

    async def php(self, code: str, *words: str, spec: Json | None = None, mounts: Json | None = None) -> Any:
        """What *code* prints as JSON, run in a pod of the example's image."""
        name = f"php-{secrets.token_hex(4)}"
        container: Json = {"name": "php", "image": self.image, "args": ["php", "-r", code, "--", *words]}
        container |= mounts or {}
        body = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 0}
        await self.cluster.create(
            "pod", {"metadata": {"name": name}, "spec": body | (spec or {})}, self.namespace
        )
        try:
            code_of_end = await self._pod_end(name)
            log = await self.cluster.pod_logs(name, self.namespace, container="php", lines=1000)
            assert code_of_end == 0, f"{words}: {log}"
            return json.loads(log.splitlines()[-1])
        finally:
            await self.cluster.delete("pod", name, self.namespace)

    def local_php(self, code: str, *words: str) -> Any:
        """The same in the local container."""
        done = self.in_local("wordpress", "php", "-r", code, "--", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    async def hundred(self, url: str, text: str, count: int = 100) -> Asked:
        """*count* requests by one pod, and where they have arrived."""
        request = f"id{secrets.token_hex(8)}"
        answer = await self.php(_ASK, url, str(count), request, text)
        there, here = await self.original_log(), self.local_log_or_none()
        deadline = time.monotonic() + 15
        while _ids(here, request) + _ids(there, request) < count and time.monotonic() < deadline:
            there, here = await self.original_log(), self.local_log_or_none()  # written after the answer
        callers = {line.split()[0] for line in here.splitlines() if request in line}
        return Asked(
            answer["seen"], _ids(here, request), _ids(there, request), answer["address"], frozenset(callers)
        )

    def local_log_or_none(self) -> str:
        """Empty where there is no local container."""
        return self.local_log("wordpress") if self.containers("wordpress", "workload") else ""

    async def original_log(self) -> str:
        """What the pod's container said since it was made, the agent's child included."""
        texts = []
        for pod in (await self.cluster.list("pod", self.namespace, selector=_OURS)).items:
            name = pod["metadata"]["name"]
            texts.append(await self.cluster.pod_logs(name, self.namespace, container="wordpress", lines=5000))
        return "\n".join(texts)

    async def claim(self) -> Json:
        """Every file of WordPress' claim as the cluster has it; times of folders left out."""
        volume = {"name": "claim", "persistentVolumeClaim": {"claimName": "wordpress"}}
        spec = {"volumes": [volume], "securityContext": {"runAsUser": 1001}}
        mounts = {"volumeMounts": [{"name": "claim", "mountPath": "/claim", "readOnly": True}]}
        found: Json = await self.php(_CLAIM, spec=spec, mounts=mounts)
        return found

    async def write_claim(self, path: str, text: str) -> None:
        """A file of the claim, written by its user in a pod."""
        volume = {"name": "claim", "persistentVolumeClaim": {"claimName": "wordpress"}}
        spec = {"volumes": [volume], "securityContext": {"runAsUser": 1001}}
        mounts = {"volumeMounts": [{"name": "claim", "mountPath": "/claim"}]}
        written = await self.php(_WRITE, f"/claim/{path}", text, spec=spec, mounts=mounts)
        assert written == len(text)

    async def history(self) -> Json:
        """What `kubectl rollout history` shows, and of which template."""
        found = (await self.cluster.list("replicaset", self.namespace, selector=_OURS)).items
        item = await self.cluster.get("deployment", "wordpress", self.namespace)
        revision = "deployment.kubernetes.io/revision"
        revisions = {
            one["metadata"]["annotations"][revision]: (one["metadata"]["name"], one["spec"]["template"])
            for one in found
        }
        return {"revisions": revisions, "current": item["metadata"]["annotations"][revision]}

    async def secret(self, name: str, key: str) -> str:
        item = await self.cluster.get("secret", name, self.namespace)
        return base64.b64decode(item["data"][key]).decode()

    async def example(self, *words: str) -> Done:
        return await self.devcluster("example", "wordpress", *words, "-n", self.namespace)

    def use_root_file(self) -> None:
        """The file at the repository's root, which explains every line, with this namespace."""
        text = (_ROOT / "devcluster.yaml").read_text()
        line = "\nnamespace: wordpress\n"
        assert text.count(line) == 1
        self.write(text.replace(line, f"\nnamespace: {self.namespace}\n"))

    async def port(self, container: int = 8080) -> int:
        ports = (await self.status("wordpress"))["ports"]
        return next(int(port["host"]) for port in ports if port["container"] == container)


def _ids(log: str, request: str) -> int:
    """How many different ids of *request* are in *log*."""
    return len({word for line in log.splitlines() for word in line.split() if word.startswith(f"{request}-")})


@contextlib.asynccontextmanager
async def open_wordpress(
    kubeconfig: Path, folder: Path, prepare: Callable[[WordPress], None] = WordPress.use_root_file
) -> AsyncIterator[WordPress]:
    """The example, deployed; removed with its namespace at the end."""
    environ = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "XDG_STATE_HOME": str(folder / "state"),
        "PYTHONPATH": str(_ROOT),
        "NO_COLOR": "1",
    }
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(kubeconfig)
    try:
        async with open_cluster(None) as cluster:
            world = WordPress(cluster, f"wordpress-{secrets.token_hex(4)}", folder, "", environ)
            prepare(world)
            try:
                await world.example("up")
                item = await cluster.get("deployment", "wordpress", world.namespace)
                world.image = item["spec"]["template"]["spec"]["containers"][0]["image"]
                world.password = await world.secret("wordpress", "wordpress-password")
                yield world
            finally:
                await world.devcluster("down", "--volumes", code=None)
                with contextlib.suppress(NotFoundError):
                    await cluster.delete("namespace", world.namespace)
    finally:
        if before is None:
            del os.environ["KUBECONFIG"]
        else:
            os.environ["KUBECONFIG"] = before
