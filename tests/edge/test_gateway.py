"""The gateway in real containers: what an application sees of a cluster that is behind a lane."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge.local_pod import (
    ADDRESS,
    Cluster,
    Images,
    Json,
    LocalPod,
    build_binaries,
    build_images,
    engine,
    engine_gateway,
    local_pod,
    wait_for_log,
    wait_until,
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Images, Cluster]]:
    client = engine()
    gateway, application = build_binaries(tmp_path_factory.mktemp("gateway"))
    images = build_images(client, gateway, application)
    cluster = Cluster(application)
    yield client, images, cluster
    cluster.close()
    for image in (images.gateway, images.application):
        client.images.remove(image, force=True)
    client.close()


@pytest.fixture(scope="module")
def pod(parts: tuple[Any, Images, Cluster]) -> Iterator[LocalPod]:
    with local_pod(*parts) as pod:
        answer = pod.open_lane()
        assert answer == {"net": "hello", "epoch": 3}
        yield pod


@pytest.fixture
def fresh(parts: tuple[Any, Images, Cluster]) -> Iterator[LocalPod]:
    with local_pod(*parts) as pod:
        yield pod


class Host:
    """The host process' end of ``control``; answers ``resolve`` from a table."""

    def __init__(self, pod: LocalPod, names: dict[str, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", pod.port(7900)), timeout=20)
        # One object for both ways would drop what was read ahead at each write.
        self._file = self._socket.makefile("r")
        self._names = names
        self._write({"token": pod.token, "open": "control"})
        assert json.loads(self._file.readline()) == {"ok": True}
        self._answers: list[Json] = []
        self.events: list[Json] = []
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _write(self, message: Json) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def _read(self) -> None:
        for line in self._file:
            message = json.loads(line)
            if message.get("do") == "resolve":
                self._resolve(message)
                continue
            with self._arrived:
                (self.events if "event" in message else self._answers).append(message)
                self._arrived.notify_all()

    def _resolve(self, message: Json) -> None:
        address = self._names.get(message["name"])
        if address is None:
            self._write({"id": message["id"], "error": {"kind": "not-found", "text": "no such name"}})
        else:
            self._write({"id": message["id"], "ok": {"addresses": [address], "ttl": 5}})

    def ask(self, do: str, **arguments: Any) -> Json:
        self._write({"id": 7, "do": do, **arguments})
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(self._answers), timeout=20)
            return self._answers.pop()

    def wait_for_event(self, **fields: str) -> Json:
        def seen() -> Json | None:
            return next((e for e in self.events if fields.items() <= e.items()), None)

        with self._arrived:
            assert self._arrived.wait_for(lambda: seen() is not None, timeout=20), self.events
        return seen() or {}

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._file.close()
        self._socket.close()


@pytest.fixture
def host(pod: LocalPod) -> Iterator[Host]:
    host = Host(pod, {"db.corp.example": pod.gateway_address, "only.laptop.example": "203.0.113.7"})
    yield host
    host.close()


def service(pod: LocalPod, name: str) -> str:
    return f"10.99.0.9:{pod.cluster.ports[name]}"


def test_a_connection_leaves_by_the_pod_with_the_pods_address(pod: LocalPod) -> None:
    answer = pod.run("dial", service(pod, "accept"))
    assert answer["from"].startswith(ADDRESS + ":")


def test_refused_is_refused_before_the_connection_stands(pod: LocalPod) -> None:
    assert pod.run("dial", "10.99.0.9:1")["error"] == "ECONNREFUSED"


def test_unreachable_is_unreachable(pod: LocalPod) -> None:
    assert pod.run("dial", "10.99.2.1:80")["error"] == "EHOSTUNREACH"


def test_silence_is_a_time_out(pod: LocalPod) -> None:
    answer = pod.shell("timeout", "6", "bash", "-c", "exec 3<>/dev/tcp/10.99.1.1/80 && echo open; echo ended")
    assert answer == ""


def test_nothing_is_answered_by_itself(pod: LocalPod) -> None:
    """A netstack in promiscuous mode answers pings of every address; a host that is down would look up."""
    perl = (
        "use Socket; socket(my $s, PF_INET, SOCK_RAW, 1) or die; "
        "send($s, pack('CCnnn', 8, 0, 0xf7ff, 0, 0), 0, sockaddr_in(0, inet_aton('10.99.0.1'))) or die; "
        "my $r = ''; vec($r, fileno($s), 1) = 1; print select($r, undef, undef, 1) ? 'answered' : 'silent';"
    )
    assert pod.shell("perl", "-e", perl) == "silent"


def test_half_closed_connections_carry_the_answer_both_ways(pod: LocalPod) -> None:
    assert pod.run("half", service(pod, "echo"), "hello")["text"].endswith("|hello")
    answer = pod.call("10.99.7.1:4000", 8100, send="hi")
    assert answer == {"text": "10.99.7.1:4000|hi"}


def test_a_reset_arrives_as_a_reset(pod: LocalPod) -> None:
    assert pod.run("reset", service(pod, "reset"))["error"] == "ECONNRESET"
    pod.call("10.99.7.2:4001", 8101, send="hi", how="abort")
    log = wait_for_log(pod.application, "10.99.7.2:4001")
    line = next(json.loads(line) for line in log.splitlines() if "10.99.7.2:4001" in line)
    assert line["end"] == "ECONNRESET"


@pytest.mark.parametrize("caller", [ADDRESS, "docker"])
def test_a_caller_that_can_not_be_shown_still_gets_in(pod: LocalPod, caller: str) -> None:
    source = str(pod.subnet[200]) if caller == "docker" else caller
    answer = pod.call(f"{source}:5000", 8100, send="x")
    assert answer["text"].startswith("169.254.77.1:")


def test_what_the_pods_other_containers_ask_of_localhost_comes_from_there(pod: LocalPod) -> None:
    assert pod.call("127.0.0.1:5000", 8100, send="x")["text"].startswith("127.0.0.1:")


@pytest.mark.parametrize(("address", "port"), [("127.0.0.1", 8200), ("[::1]", 8220)])
def test_an_application_on_loopback_is_reached_there(pod: LocalPod, address: str, port: int) -> None:
    pod.application.exec_run(["/testagent", "app", "serve", f"{address}:{port}"], detach=True)
    wait_until(lambda: "error" not in pod.call("127.0.0.1:5001", port, send="x"))
    for caller in ("127.0.0.1:5002", "10.99.7.5:5003"):
        assert pod.call(caller, port, send="x")["text"].startswith(f"{address}:")


@pytest.fixture
def neighbours(pod: LocalPod, host: Host) -> Iterator[dict[str, int]]:
    """The services of the cluster, as the pod's other containers."""
    ports = pod.cluster.ports
    listeners = [{"address": "::", "port": port, "protocol": "TCP"} for port in ports.values()]
    listeners += [{"address": "127.0.0.1", "port": ports["udp"], "protocol": "UDP"}]
    assert "ok" in host.ask("neighbours", neighbours=listeners)
    yield ports
    assert "ok" in host.ask("neighbours", neighbours=[])


def test_the_pods_other_containers_are_at_localhost_and_at_its_address(
    pod: LocalPod, neighbours: dict[str, int]
) -> None:
    for address in ("127.0.0.1", ADDRESS):
        answer = pod.run("half", f"{address}:{neighbours['echo']}", "hello")
        assert answer["text"].endswith("|hello")
        assert pod.run("reset", f"{address}:{neighbours['reset']}")["error"] == "ECONNRESET"
        assert pod.run("dial", f"{address}:1")["error"] == "ECONNREFUSED"
    assert pod.run("udp", f"127.0.0.1:{neighbours['udp']}", "ping")["text"] == "ping"
    nobody = pod.run("dial", f"127.0.0.1:{neighbours['udp']}")  # is led to the pod, where none listens
    assert nobody["error"] == "ECONNREFUSED"


def test_the_application_may_have_the_port_of_another_container(
    pod: LocalPod, neighbours: dict[str, int]
) -> None:
    port = neighbours["sink"]
    pod.application.exec_run(["/testagent", "app", "serve", f"0.0.0.0:{port}"], detach=True)
    wait_until(lambda: "error" not in pod.call("10.99.7.6:5004", port, send="x"))


def test_who_is_no_neighbour_any_more_is_not_reached(pod: LocalPod, host: Host) -> None:
    to = {"address": ADDRESS, "port": pod.cluster.ports["accept"], "protocol": "TCP"}
    assert "ok" in host.ask("neighbours", neighbours=[to])
    assert "from" in pod.run("dial", f"{ADDRESS}:{to['port']}")
    assert pod.run("dial", f"127.0.0.1:{to['port']}")["error"] == "ECONNREFUSED"
    assert "ok" in host.ask("neighbours", neighbours=[])
    assert pod.run("dial", f"{ADDRESS}:{to['port']}")["error"] == "ECONNREFUSED"


def test_nobody_listens_is_refused_to_the_cluster(pod: LocalPod) -> None:
    answer = pod.call("10.99.7.3:1", 9, send="x")
    assert answer["error"] == "ECONNREFUSED"


def test_the_same_caller_and_port_twice_at_once(pod: LocalPod) -> None:
    for _ in range(3):
        answer = pod.call("10.99.7.4:4004", 8100, send="again")
        assert answer["text"].startswith("10.99.7.4:")


def ask_from_laptop(address: str, port: int, *, source: str = "") -> str:
    with (
        socket.create_connection((address, port), timeout=10, source_address=(source, 0)) as conn,
        conn.makefile() as answer,
    ):
        conn.sendall(b"laptop")
        conn.shutdown(socket.SHUT_WR)
        return answer.read()


def test_the_published_port_reaches_the_application(pod: LocalPod) -> None:
    assert ask_from_laptop("127.0.0.1", pod.port(8100)).endswith("|laptop")


def test_callers_beyond_the_docker_network_get_their_answer(pod: LocalPod) -> None:
    """A published port may show the true caller.  It is not on link, so without a rule of its own the answer
    would go to the cluster.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        route.connect(("203.0.113.1", 9))  # sends nothing: it only chooses the laptop's own address
        caller = route.getsockname()[0]
    answer = ask_from_laptop(pod.docker_address(), 8100, source=caller)
    assert answer.startswith(f"{caller}:")


def test_datagrams_keep_their_borders(pod: LocalPod) -> None:
    assert pod.run("udp", service(pod, "udp"), "ping")["text"] == "ping"


def test_names_are_those_of_the_pod(pod: LocalPod) -> None:
    short = "wordpress-mariadb"
    for name in (short, f"{short}.wordpress", f"{short}.wordpress.svc.cluster.local"):
        assert pod.shell("getent", "ahostsv4", name).split()[0] == "10.99.0.9"
    assert pod.shell("getent", "hosts", "no-such-service") == ""
    assert len(pod.shell("getent", "ahostsv4", "many").splitlines()) == 3 * 200  # by TCP, too long for UDP


def test_the_laptop_knows_names_that_the_pod_does_not(pod: LocalPod, host: Host) -> None:
    assert pod.shell("getent", "ahostsv4", "only.laptop.example").split()[0] == "203.0.113.7"
    assert pod.shell("getent", "hosts", "db.corp.example").split()[0] == pod.gateway_address
    assert pod.shell("getent", "hosts", "host.docker.internal").split()[0] == pod.gateway_address
    assert pod.shell("getent", "hosts", "nobody.corp.example") == ""


@pytest.fixture
def beyond(pod: LocalPod) -> Iterator[tuple[str, int]]:
    """Something that only the laptop reaches: it listens on another bridge of the engine, tells who calls."""
    address = engine_gateway("bridge")
    with socket.create_server((address, 0)) as server:

        def serve() -> None:
            while True:
                try:
                    conn, (caller, _) = server.accept()
                except OSError:
                    return
                with conn:
                    conn.sendall(f"{caller}|".encode() + conn.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield address, server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_local_networks_are_reached_past_the_pod(
    pod: LocalPod, fresh: LocalPod, beyond: tuple[str, int]
) -> None:
    address, port = beyond
    fresh.gateway.kill()
    fresh.gateway.wait()
    fresh.start_gateway(fresh.settings() | {"local_networks": [f"{address}/32"]})
    assert fresh.run("half", f"{address}:{port}", "x")["text"] == f"{fresh.docker_address()}|x"
    assert fresh.run("dial", f"{address}:1")["error"] == "ECONNREFUSED"
    assert pod.run("dial", f"{address}:{port}")["error"] == "ECONNREFUSED"  # the cluster has nothing there


def test_an_address_that_the_laptop_gave_is_reached_past_the_pod(
    pod: LocalPod, beyond: tuple[str, int]
) -> None:
    address, port = beyond
    host = Host(pod, {"printer.example": address})
    try:
        assert pod.run("half", f"printer.example:{port}", "x")["text"] == f"{pod.docker_address()}|x"
    finally:
        host.close()


def speak(pod: LocalPod) -> None:
    pod.run("dial", service(pod, "accept"))
    pod.run("udp", "10.99.0.9:9", "x")
    pod.shell("getent", "hosts", "www.example.org")


@pytest.mark.skipif(os.geteuid() != 0, reason="listens on the docker network's bridge")
def test_no_packet_leaves_the_docker_network(fresh: LocalPod) -> None:
    """What the local pod sends is seen on the bridge; with the gateway and after its death."""
    ipv4 = 0x0800
    # Of no protocol until it is bound: else it hears every interface of the machine before (packet(7)).
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as bridge:
        bridge.bind((f"br-{fresh.network.id[:12]}", ipv4))
        fresh.open_lane()
        speak(fresh)
        fresh.gateway.kill()
        fresh.gateway.wait()
        speak(fresh)
        bridge.setblocking(False)
        seen = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                packet = bridge.recv(100)
                seen |= {ipaddress.ip_address(packet[12:16]), ipaddress.ip_address(packet[16:20])}
    own = ipaddress.ip_address(fresh.docker_address())
    assert own in seen, "the lane itself must have been seen"
    multicast = {address for address in seen if address.is_multicast}
    assert {str(address) for address in seen - multicast if address not in fresh.subnet} == set()


def test_hosts_and_resolv_conf_are_the_pods(pod: LocalPod) -> None:
    assert "nameserver 10.96.0.10" in pod.shell("cat", "/etc/resolv.conf")
    hosts = pod.shell("cat", "/etc/hosts")
    assert hosts == f"127.0.0.1\tlocalhost\n{ADDRESS}\twordpress-abc\n"
    assert pod.shell("hostname").strip() == "wordpress-abc"


def test_connections_that_nobody_reads_stop_nobody_else(pod: LocalPod) -> None:
    took = pod.run("stall", service(pod, "source"), "64")["ms"]
    print(f"{took} ms beside 64 stalled connections")
    assert took < 20_000  # for ever, if they were in the way


def test_control_tells_the_lanes_and_what_becomes_of_them(pod: LocalPod, host: Host) -> None:
    pod.open_lane("l2", pod="wordpress-1")
    host.wait_for_event(lane="l2", state="up")
    state = host.ask("state")["ok"]
    assert [(lane["pod"], lane["lane"]) for lane in state["lanes"]] == [
        ("wordpress-0", pod.lane),
        ("wordpress-1", "l2"),
    ]
    assert all(lane["rtt_ms"] > 0 for lane in state["lanes"])
    assert host.ask("primary", pod="wordpress-1")["ok"] == {}
    assert pod.run("half", service(pod, "echo"), "x" * 1000)["text"].endswith("x")
    by_lane = {lane["lane"]: lane for lane in host.ask("state")["ok"]["lanes"]}
    assert by_lane["l2"]["sent"] >= 1000, "the primary pod's lane was passed over"
    pod.cluster.ask("drop", lane="l2")
    assert host.wait_for_event(lane="l2", state="down")["reason"]
    assert "from" in pod.run("dial", service(pod, "accept"))  # by the reserve
    assert host.ask("dance")["error"]["kind"] == "unknown-request"


def test_probes_run_inside_the_local_pod(pod: LocalPod, host: Host) -> None:
    good = host.ask("probe", probe={"tcpSocket": {"port": 8100}})
    assert good["ok"]["healthy"] is True, good
    bad = host.ask("probe", probe={"tcpSocket": {"port": 9}})
    assert bad["ok"]["healthy"] is False, bad


def test_strangers_stay_outside(pod: LocalPod) -> None:
    for line in (b'{"token":"wrong","open":"control"}\n', b"GET / HTTP/1.1\n", b'{"open":"control"}\n'):
        with socket.create_connection(("127.0.0.1", pod.port(7900)), timeout=10) as conn:
            conn.sendall(line)
            assert "error" in json.loads(conn.makefile().readline())


def test_without_a_gateway_nothing_leaves_and_the_next_one_goes_on(fresh: LocalPod) -> None:
    fresh.open_lane()
    assert "from" in fresh.run("dial", service(fresh, "accept"))
    fresh.gateway.kill()
    fresh.gateway.wait()
    assert fresh.run("dial", service(fresh, "accept"))["error"] == "ENETUNREACH"
    fresh.start_gateway()
    fresh.open_lane()
    assert "from" in fresh.run("dial", service(fresh, "accept"))


def test_a_lane_that_ends_resets_its_connections(fresh: LocalPod) -> None:
    fresh.open_lane()
    host = Host(fresh, {})
    answers: list[Json] = []
    running = threading.Thread(
        target=lambda: answers.append(fresh.run("down", service(fresh, "source"), str(1 << 50)))
    )
    running.start()
    while host.ask("state")["ok"]["lanes"][0]["received"] < 1 << 20:
        assert running.is_alive(), answers
    fresh.cluster.ask("drop", lane=fresh.lane)
    running.join(timeout=20)
    host.close()
    assert answers[0]["error"] == "ECONNRESET"


def test_a_connection_waits_for_the_first_lane(fresh: LocalPod) -> None:
    answers: list[Json] = []
    waiting = threading.Thread(target=lambda: answers.append(fresh.run("dial", service(fresh, "accept"))))
    waiting.start()
    fresh.open_lane()
    waiting.join(timeout=20)
    assert answers[0]["from"].startswith(ADDRESS)


def test_what_is_missing_is_said_in_one_line(fresh: LocalPod) -> None:
    fresh.gateway.kill()
    fresh.gateway.wait()
    broken = fresh.start_gateway(devices=False)
    broken.wait(timeout=20)
    text = broken.logs().decode().strip()
    assert "/dev/net/tun" in text
    assert len(text.splitlines()) == 1
    assert fresh.token not in text


def test_many_connections_at_once_carry_every_byte(pod: LocalPod) -> None:
    answer = pod.call("", 8101, do="parallel", count=64, bytes=1 << 20)
    assert "mb_s" in answer, answer


def test_hold_ends_politely(fresh: LocalPod) -> None:
    fresh.netns.stop(timeout=10)
    assert fresh.netns.wait(timeout=20)["StatusCode"] == 0


@pytest.mark.slow
def test_figures(pod: LocalPod) -> None:
    """Measured, not judged but for a standstill: the numbers stand at the end of the run."""
    inbound = pod.call("", 8102, do="rate", count=1600)
    assert "per_second" in inbound, inbound
    figures = {
        "down MB/s": pod.run("down", service(pod, "source"), str(400 << 20))["mb_s"],
        "up MB/s": pod.run("up", service(pod, "sink"), str(400 << 20))["mb_s"],
        "out conn/s": pod.run("rate", service(pod, "accept"), "1600")["per_second"],
        "in conn/s": inbound["per_second"],
        "in both MB/s": pod.call("10.99.7.9:4009", 8101, how="bulk", bytes=200 << 20)["mb_s"],
    }
    print(", ".join(f"{value:.0f} {name}" for name, value in figures.items()))
    assert min(figures.values()) > 0
