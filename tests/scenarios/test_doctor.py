"""What is broken for real, `doctor` names, with a remedy and the right exit code, and goes on to the rest."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.edge.kube.cluster import Cluster
from tests.edge.cluster_world import token_of, write_config
from tests.scenarios.world import World

Json = dict[str, Any]


async def test_all_is_well_and_nothing_is_changed(world: World) -> None:
    found = await _doctor(world, 0)
    assert {line["subject"] for line in found} == {
        "docker",
        "cluster",
        "credentials",
        "clock",
        "rights",
        "lane",
    }
    assert "bad" not in {line["state"] for line in found}
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


async def test_docker_to_nowhere_does_not_hide_the_cluster(world: World) -> None:
    world.environ["DOCKER_HOST"] = f"unix://{world.folder}/absent.sock"
    found = await _doctor(world, 5)
    assert "absent.sock" in _only_bad(found, "docker")["text"]
    assert [line["state"] for line in found if line["subject"] == "rights"] == ["ok"]


async def test_an_unreachable_cluster_does_not_hide_docker(world: World, kubeconfig: Path) -> None:
    _use(world, kubeconfig, {"token": "t"}, server="https://127.0.0.1:1")
    found = await _doctor(world, 4)
    assert "can't be reached" in _only_bad(found, "cluster")["text"]
    assert "ok" in {line["state"] for line in found if line["subject"] == "docker"}


async def test_an_expired_token(world: World, kubeconfig: Path) -> None:
    parts = [
        base64.urlsafe_b64encode(json.dumps(it).encode()).decode() for it in ({}, {"exp": 1_700_000_000})
    ]
    token = ".".join([*parts, secrets.token_hex(8)])
    _use(world, kubeconfig, {"token": token})
    found = await _doctor(world, 4)
    line = next(line for line in found if line["subject"] == "credentials")
    assert (line["state"], "2023-11-14" in line["text"]) == ("bad", True)
    assert "log in again" in line["remedy"]
    assert "does not accept" in next(line["text"] for line in found if line["subject"] == "cluster")
    assert token not in json.dumps(found)


async def test_a_plugin_that_fails(world: World, kubeconfig: Path) -> None:
    _use(world, kubeconfig, _plugin(world, "echo the login has lapsed >&2; exit 1"))
    line = _only_bad(await _doctor(world, 4), "cluster")
    assert "plugin" in line["text"]
    assert "log in again" in line["remedy"]


async def test_a_plugins_expiry_is_told(world: World, kubeconfig: Path) -> None:
    _use(world, kubeconfig, _plugin(world, _credential("nobody", "2051-02-03T04:05:06+00:00")))
    found = await _doctor(world, 4)  # the token is nobody's
    line = next(line for line in found if line["subject"] == "credentials")
    assert "by the plugin" in line["text"]
    assert "2051-02-03" in line["text"]


async def test_a_plugin_whose_credentials_have_expired(world: World, kubeconfig: Path) -> None:
    _use(world, kubeconfig, _plugin(world, _credential("nobody", "2023-11-14T22:13:20+00:00")))
    found = await _doctor(world, 4)
    line = next(line for line in found if line["subject"] == "credentials")
    assert line["state"] == "bad"
    assert line["text"] == "a token, by the plugin sh, until 2023-11-14 22:13 UTC: expired"
    assert "log in again" in line["remedy"]
    assert "nobody" not in json.dumps(found)


async def test_a_plugins_credentials_that_end_soon_are_no_worry(world: World, kubeconfig: Path) -> None:
    token = await token_of(world, *_role((await world.devcluster("role")).stdout))
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=28)
    runs = world.folder / "runs"
    script = f"echo run >> {runs}; {_credential(token, soon.isoformat(timespec='seconds'))}"
    _use(world, kubeconfig, _plugin(world, script))
    found = await _doctor(world, 0)
    line = next(line for line in found if line["subject"] == "credentials")
    assert (line["state"], line["remedy"]) == ("ok", "")
    assert f"by the plugin sh, until {soon:%Y-%m-%d %H:%M} UTC" in line["text"]
    assert len(runs.read_text().split()) > 1  # asked again: a plugin gives fresh ones
    assert token not in json.dumps(found)


async def test_the_least_role_is_enough(world: World, kubeconfig: Path) -> None:
    """In a namespace with nothing in it."""
    _use(world, kubeconfig, {"token": await token_of(world, *_role((await world.devcluster("role")).stdout))})
    found = await _doctor(world, 0)
    assert {line["state"] for line in found if line["subject"] != "credentials"} == {"ok"}
    (all_of_it,) = [line["text"] for line in found if line["subject"] == "rights"]
    assert re.fullmatch(rf"all \d+ in namespace {world.namespace}", all_of_it)
    assert [line for line in found if "found no address of the cluster to compare" in line["text"]]


async def test_the_lanes_round_trip_to_an_installed_agent(world: World) -> None:
    await world.deploy()
    await world.devcluster("up", "-d")
    (attached,) = (await world.status())["pods"]
    await world.devcluster("leave")
    line = next(line for line in await _doctor(world, 0) if line["subject"] == "lane")
    told = re.fullmatch(r"by the pod proxy, (\d+\.\d) ms to pod (\S+) and back", line["text"])
    assert told is not None, line
    assert line["state"] == "ok"
    assert told[2] == attached["name"]
    assert float(told[1]) > 0
    text = (await world.devcluster("doctor")).stdout
    assert re.search(rf"by the pod proxy, \d+\.\d ms to pod {told[2]} and back", text)


async def test_a_docker_network_on_the_clusters_addresses(world: World) -> None:
    """On a Service's own, and on those that another one may be given."""
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = await world.cluster.create("service", service, world.namespace)
    address = int(IPv4Address(made["spec"]["clusterIP"]))
    name = f"collides-{secrets.token_hex(4)}"
    for inside in (address, address ^ 0x8000):
        _network("create", "--internal", "--subnet", str(IPv4Network((inside, 29), strict=False)), name)
        try:
            (line,) = [line for line in await _doctor(world, 0) if name in line["text"]]
        finally:
            _network("rm", name)
        assert (line["subject"], line["state"]) == ("docker", "warning")
        assert f"(service web has {IPv4Address(address)})" in line["text"]
        assert f"docker network rm {name}" in line["remedy"]
    assert not [line for line in await _doctor(world, 0) if name in line["text"]]


@pytest.mark.parametrize(("ahead", "state", "code"), [(3600, "bad", 4), (60, "warning", 0), (0, "ok", 0)])
async def test_a_skewed_clock(world: World, kubeconfig: Path, ahead: int, state: str, code: int) -> None:
    with _relay(world.cluster, ahead) as server:
        _use(world, kubeconfig, {}, server=server)
        found = await _doctor(world, code)
    line = next(line for line in found if line["subject"] == "clock")
    assert line["state"] == state
    if ahead:
        assert "behind the cluster's" in line["text"]
        assert "set-ntp" in line["remedy"]


async def test_the_text_has_a_remedy_below_each_bad_line(world: World, kubeconfig: Path) -> None:
    _use(world, kubeconfig, {"token": "t"}, server="https://127.0.0.1:1")
    lines = (await world.devcluster("doctor", code=4)).stdout.splitlines()
    (at,) = [number for number, line in enumerate(lines) if "  bad  " in line]
    assert "is it running" in lines[at + 1]


async def _doctor(world: World, code: int) -> list[Json]:
    checks: list[Json] = (await world.devcluster("doctor", "-o", "json", code=code)).json["checks"]
    assert all(line["remedy"] for line in checks if line["state"] != "ok")
    return checks


def _only_bad(found: list[Json], subject: str) -> Json:
    (line,) = [line for line in found if line["state"] == "bad"]
    assert line["subject"] == subject
    return line


def _network(*words: str) -> None:
    subprocess.run(["docker", "network", *words], check=True, stdout=subprocess.DEVNULL, timeout=60)


def _use(world: World, kubeconfig: Path, user: Json, **cluster: Any) -> None:
    path = world.folder / "kubeconfig"
    write_config(path, kubeconfig, user, **cluster)
    if str(cluster.get("server", "")).startswith("http://"):
        config = yaml.safe_load(path.read_text())
        config["clusters"][0]["cluster"].pop("certificate-authority-data", None)
        path.write_text(yaml.safe_dump(config))
    world.environ["KUBECONFIG"] = str(path)


def _plugin(world: World, script: str) -> Json:
    words = {"command": "sh", "args": ["-c", script], "interactiveMode": "Never"}
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1"} | words}


def _credential(token: str, expires: str) -> str:
    """What a plugin runs that gives *token*."""
    status = {"token": token, "expirationTimestamp": expires}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"echo '{json.dumps(answer)}'"


def _role(text: str) -> list[Json]:
    rules: list[Json] = next(it for it in yaml.safe_load_all(text) if it["kind"] == "Role")["rules"]
    return rules


@contextlib.contextmanager
def _relay(cluster: Cluster, ahead: int) -> Iterator[str]:
    """The API server, with its clock *ahead* seconds before the laptop's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else None
            answer = cluster.transport.send(self.command, self.path, body=body)
            self.send_response(answer.status)  # says the Date, too
            self.send_header("Content-Length", str(len(answer.data)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.data)

        do_POST = do_GET  # noqa: N815

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string(int(time.time() if timestamp is None else timestamp) + ahead)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
