"""A connection that died without a word is ended by whoever knows, and nothing else is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import urllib3

from devcluster.edge.kube.connections import Connections


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = threading.Semaphore(0)  # by a request that is not answered
        self.silent = threading.Event()
        self.peers: list[socket.socket] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.peers.append(self.connection)
        if self.path == "/late":
            self.server.asked.release()
            self.server.silent.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_PATCH = do_GET  # noqa: N815 - http.server names them so

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.silent.set()
        server.shutdown()


class _World:
    def __init__(self, server: _Server) -> None:
        self.server = server
        self.manager = urllib3.PoolManager(retries=False, maxsize=4)
        self.connections = Connections()
        self.connections.adopt(self.manager)
        self.ended: dict[str, str] = {}

    def ask(self, method: str, path: str) -> None:
        self.manager.request(method, f"http://127.0.0.1:{self.server.server_port}{path}", timeout=30)

    def start(self, method: str) -> threading.Thread:
        """A request that waits for its answer; how it ended comes into ``ended``."""

        def work() -> None:
            try:
                self.ask(method, "/late")
                self.ended[method] = "answered"
            except urllib3.exceptions.HTTPError as error:
                self.ended[method] = type(error).__name__

        thread = threading.Thread(target=work)
        thread.start()
        assert self.server.asked.acquire(timeout=10)
        return thread


@pytest.fixture
def world(server: _Server) -> _World:
    return _World(server)


def test_a_reader_of_an_old_connection_is_told(world: _World) -> None:
    reader = world.start("GET")
    world.connections.end_older(time.monotonic())
    reader.join(10)
    assert world.ended == {"GET": "ProtocolError"}


def test_a_newer_one_and_a_change_go_on(world: _World) -> None:
    before = time.monotonic()
    threads = [world.start("GET")]
    world.connections.end_older(before)
    threads.append(world.start("PATCH"))
    world.connections.end_older(before)
    world.server.silent.set()
    for thread in threads:
        thread.join(10)
    assert world.ended == {"GET": "answered", "PATCH": "answered"}


def test_a_change_is_waited_for_on_an_old_one(world: _World) -> None:
    thread = world.start("PATCH")
    world.connections.end_older(time.monotonic())
    world.server.silent.set()
    thread.join(10)
    assert world.ended == {"PATCH": "answered"}


def test_an_idle_one_is_not_used_again(world: _World) -> None:
    world.ask("GET", "/")
    world.ask("GET", "/")
    assert len({id(it) for it in world.server.peers}) == 1
    world.connections.end_older(time.monotonic())
    world.ask("GET", "/")
    assert len({id(it) for it in world.server.peers}) == 2


def test_those_of_a_former_manager_are_known(world: _World) -> None:
    """Credentials that are renewed make a new one; a watch stays where it is."""
    reader = world.start("GET")
    world.connections.adopt(urllib3.PoolManager())
    world.connections.end_older(time.monotonic())
    reader.join(10)
    assert world.ended == {"GET": "ProtocolError"}
