"""The laptop's end of the lanes as a process, and tunnels by its door: half-closes and resets go through."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from devcluster.edge.lane.door import Door, open_control
from devcluster.edge.lane.host_program import start_program
from devcluster.edge.lines import Json
from devcluster.errors import EngineError, FailedError
from tests.edge.gateway_binary import gateway_binary


def settings() -> Json:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return {"key": private.decode(), "agent": public.decode(), "epoch": 3, "ports": {"8080": 1}}


async def _state(door: Door) -> Json:
    async def refuse(_: Json) -> Json:
        raise AssertionError

    async with open_control(door, on_event=lambda _: None, on_request=refuse) as lines:
        return await lines.call("state")


async def test_it_lets_in_who_knows_the_token(tmp_path: Path) -> None:
    program = await start_program(gateway_binary(), settings(), tmp_path / "log")
    try:
        state = await _state(program.door)
        assert state == {"lanes": [], "silent": [{"port": 8080, "local": 1}]}
        with pytest.raises(EngineError, match="the token is not this gateway's"):
            await _state(Door(program.door.port, "wrong", program.door.log))
    finally:
        await program.close()
    assert await program.until_end() == 0
    assert (tmp_path / "log").read_text() == ""


async def test_settings_that_are_wrong_are_named_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="did not start; its log"):
        await start_program(gateway_binary(), {"key": "s3cret"}, tmp_path / "log")
    log = (tmp_path / "log").read_text()
    assert "settings: key" in log
    assert "s3cret" not in log


async def test_it_outlives_nobody(tmp_path: Path) -> None:
    """Also where the one who started it is killed."""
    script = f"""
import asyncio, json, pathlib
from devcluster.edge.lane.host_program import start_program
async def main():
    text = pathlib.Path({str(tmp_path / "settings")!r}).read_text()
    program = await start_program({str(gateway_binary())!r}, json.loads(text), pathlib.Path("/dev/null"))
    print(program._process.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    (tmp_path / "settings").write_text(json.dumps(settings()))
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(10):
        while _lives(child):
            await asyncio.sleep(0.05)


def _lives(process: int) -> bool:
    """A zombie, whom nobody has waited for yet, does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
