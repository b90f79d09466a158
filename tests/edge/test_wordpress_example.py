"""``devcluster example wordpress`` against a real cluster: what it promises, asked from inside.

A namespace of the test's own, so that an example that is already there stays as it is.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from devcluster.edge.kube.cluster import Cluster, open_cluster
from devcluster.sandbox.example_images import example_folder, image_tag
from devcluster.sandbox.example_objects import WORDPRESS

NAMESPACE = "devcluster-example-test"
_GET = """
$options = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false],
  'http' => ['header' => "X-Request-Id: $argv[2]", 'follow_location' => 0, 'ignore_errors' => true]];
$body = file_get_contents($argv[1], false, stream_context_create($options));
preg_match_all('#https?://wordpress[^/"\\' ]*#', $body, $links);
preg_match('#<title>(.*)</title>#', $body, $title);
echo json_encode(['status' => $http_response_header[0], 'headers' => $http_response_header,
  'title' => html_entity_decode($title[1] ?? '', ENT_QUOTES),
  'links' => array_values(array_unique($links[0]))]);
"""
_LOGIN = """
$fields = ['log' => 'user', 'pwd' => getenv('WORDPRESS_PASSWORD') . $argv[1], 'wp-submit' => 'Log In',
  'testcookie' => 1];
$header = "Content-Type: application/x-www-form-urlencoded\\r\\n"
  . "Cookie: wordpress_test_cookie=WP%20Cookie%20check";
$options = ['http' => ['method' => 'POST', 'follow_location' => 0, 'ignore_errors' => true,
  'header' => $header, 'content' => http_build_query($fields)]];
file_get_contents('http://wordpress/wp-login.php', false, stream_context_create($options));
echo json_encode($http_response_header);
"""


@dataclass(frozen=True, slots=True)
class World:
    """The cluster with the example in it; ``first``: what the first ``up`` said."""

    environ: dict[str, str]
    first: dict[str, Any]

    def up(self) -> dict[str, Any]:
        return dict(json.loads(_devcluster(self.environ, "up")))


def _devcluster(environ: dict[str, str], word: str) -> str:
    command = [
        sys.executable,
        "-m",
        "devcluster",
        "example",
        "wordpress",
        word,
        "-n",
        NAMESPACE,
        "-o",
        "json",
    ]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    return done.stdout


@pytest.fixture(scope="module")
def world(kubeconfig: Path) -> Iterator[World]:
    environ = os.environ | {"KUBECONFIG": str(kubeconfig)}
    try:
        yield World(environ, json.loads(_devcluster(environ, "up")))
    finally:
        assert json.loads(_devcluster(environ, "down"))["removed"]
    assert not json.loads(_devcluster(environ, "down"))["removed"]


@pytest.fixture
async def cluster(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setenv("KUBECONFIG", world.environ["KUBECONFIG"])
    async with open_cluster() as opened:
        yield opened


async def _pod(cluster: Cluster) -> dict[str, Any]:
    found = await cluster.list("pod", NAMESPACE, selector="app.kubernetes.io/name=wordpress")
    (pod,) = (pod for pod in found.items if not pod["metadata"].get("deletionTimestamp"))
    return dict(pod)


def _run_in(world: World, pod: dict[str, Any], *command: str) -> str:
    """Run *command* in the WordPress container: the API's exec, by the kubernetes package."""
    from kubernetes import client, config
    from kubernetes.stream import stream

    api = config.new_client_from_config(world.environ["KUBECONFIG"])  # type: ignore[no-untyped-call]
    try:
        channel = stream(
            client.CoreV1Api(api).connect_get_namespaced_pod_exec,
            pod["metadata"]["name"],
            NAMESPACE,
            container="wordpress",
            command=list(command),
            stdout=True,
            stderr=True,
            _preload_content=False,  # or JSON would come back as Python's repr
        )
        channel.run_forever(timeout=60)
        said = str(channel.read_stdout(timeout=0))
        channel.sock.shutdown()  # `close()` leaves the socket open where the server was first
        return said
    finally:
        api.rest_client.pool_manager.clear()
        api.close()


def test_the_first_up_makes_everything_and_the_second_nothing(world: World) -> None:
    assert {it["outcome"] for it in world.first["objects"]} == {"created"}
    assert {it["outcome"] for it in world.up()["objects"]} == {"unchanged"}


@pytest.mark.parametrize(
    "address", ["http://wordpress", "https://wordpress", f"http://wordpress.{NAMESPACE}.svc.cluster.local"]
)
async def test_the_front_page_names_no_other_place(world: World, cluster: Cluster, address: str) -> None:
    pod, request = await _pod(cluster), uuid.uuid4().hex
    page = json.loads(_run_in(world, pod, "php", "-r", _GET, f"{address}/", request))
    assert page["status"].endswith("200 OK")
    assert page["title"] == "User's Blog!"
    assert set(page["links"]) - {"https://wordpress.org"} == {address}
    log = await cluster.pod_logs(pod["metadata"]["name"], NAMESPACE, container="wordpress", lines=50)
    (line,) = (line for line in log.splitlines() if request in line)
    caller, _, rest = line.partition(" ")
    assert rest == f'{request} "GET / HTTP/1.1" 200'
    ipaddress.ip_address(
        caller
    )  # whose it is, its own or the node's, is kube-proxy's to say: a pod asks itself


async def test_a_redirect_keeps_the_port_that_was_asked(world: World, cluster: Cluster) -> None:
    pod = await _pod(cluster)
    for address in ("http://wordpress", "http://localhost:8080", "https://localhost:8443"):
        page = json.loads(_run_in(world, pod, "php", "-r", _GET, f"{address}/wp-admin", "x"))
        assert f"Location: {address}/wp-admin/" in page["headers"]


@pytest.mark.parametrize(("suffix", "status"), [("", 302), ("x", 200)])
async def test_log_in_takes_the_password_of_the_secret(
    world: World, cluster: Cluster, suffix: str, status: int
) -> None:
    headers = json.loads(_run_in(world, await _pod(cluster), "php", "-r", _LOGIN, suffix))
    assert f" {status} " in headers[0]
    assert any("wordpress_logged_in" in line for line in headers) is (status == 302)


async def test_the_claim_holds_the_short_name_and_secrets_stay_out_of_logs(
    world: World, cluster: Cluster
) -> None:
    pod = await _pod(cluster)
    text = _run_in(world, pod, "cat", "/bitnami/wordpress/wp-config.php")
    assert "define( 'DB_HOST', 'wordpress-mariadb:3306' );" in text.splitlines()
    log = await cluster.pod_logs(pod["metadata"]["name"], NAMESPACE, container="wordpress", lines=500)
    for name in ("wordpress", "wordpress-mariadb"):
        secret = await cluster.get("secret", name, NAMESPACE)
        assert not any(base64.b64decode(value).decode() in log for value in secret["data"].values())


async def test_a_new_pod_restores_what_was_persisted(world: World, cluster: Cluster) -> None:
    pod, mark = await _pod(cluster), f"wp-content/{uuid.uuid4().hex}"
    _run_in(world, pod, "touch", f"/opt/wordpress/{mark}")
    config = _run_in(world, pod, "md5sum", "/bitnami/wordpress/wp-config.php")
    await cluster.delete("pod", pod["metadata"]["name"], NAMESPACE)
    world.up()
    again = await _pod(cluster)
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]
    assert _run_in(world, again, "ls", f"/opt/wordpress/{mark}").strip().endswith(mark)
    assert _run_in(world, again, "md5sum", "/bitnami/wordpress/wp-config.php") == config
    log = await cluster.pod_logs(again["metadata"]["name"], NAMESPACE, container="wordpress", lines=500)
    assert "restoring the persisted installation" in log
    assert "installed WordPress" not in log


def test_without_its_database_it_gives_up_and_says_so(world: World) -> None:
    words = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        "-e",
        "WORDPRESS_DB_TIMEOUT=1",
        "-e",
        "MARIADB_HOST=db",
    ]
    for name in ("DATABASE_NAME", "DATABASE_USER", "DATABASE_PASSWORD"):
        words += ["-e", f"WORDPRESS_{name}=x"]
    tag = image_tag(example_folder(WORDPRESS) / "wordpress")
    done = subprocess.run([*words, tag], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "database db:3306 can't be reached: gave up after 1 s" in done.stdout
    assert "starting Apache" not in done.stdout


def test_apache_is_told_to_finish_by_the_image_s_stop_signal(world: World) -> None:
    tag = image_tag(example_folder(WORDPRESS) / "wordpress")
    words = ["docker", "inspect", "-f", "{{.Config.StopSignal}} {{json .Config.Entrypoint}}", tag]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.strip() == 'SIGWINCH ["/opt/example/entrypoint.sh"]'
