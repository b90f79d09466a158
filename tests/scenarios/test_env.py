"""`env`: each format, read by those it is for, gives the same values; what it can't carry is refused by name.
`config`: what it prints is a file that means the same.  `exec`: ends with its command's own code."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import yaml

from tests.scenarios.world import World

_VALUES = {
    "PLAIN": "a=b=c #d",
    "QUOTES": "'single' \"double\" \\back `tick`",
    "DOLLAR": "$HOME ${X} $(id) $",
    "UNICODE": "žluťoučký 🐎",
    "BLANKS": "  both ends  ",
    "EMPTY": "",
    "WORD": "off",
}
_LINES = "planted-1 one\ntwo\n"


def _by_docker(world: World, file: Path) -> dict[str, str]:
    """As `docker run --env-file` takes it."""
    name = f"env-{secrets.token_hex(4)}"
    create = ["docker", "create", "--name", name, "--network", "none", "--env-file", str(file), world.app]
    subprocess.run(create, check=True, capture_output=True, timeout=60)
    try:
        inspect = ["docker", "inspect", "-f", "{{json .Config.Env}}", name]
        out = subprocess.run(inspect, check=True, capture_output=True, timeout=30).stdout
    finally:
        subprocess.run(["docker", "rm", name], check=True, capture_output=True, timeout=60)
    return dict(item.split("=", 1) for item in json.loads(out))


def _by_shell(file: Path) -> dict[str, str]:
    """As a shell with nothing else in its environment takes it."""
    words = ["env", "-i", "/bin/sh", "-c", '. "$0" && exec /usr/bin/env -0', str(file)]
    out = subprocess.run(words, check=True, capture_output=True, timeout=30).stdout
    return dict(item.split("=", 1) for item in out.decode().split("\0") if item)


async def test_each_format_is_read_as_it_was_meant(world: World) -> None:
    env = {
        "IDENTITY": "original",
        "GONE": "x",
        "A_HOST": "web",
        "dotted.name": "y",
        "LINES": _LINES,
    } | _VALUES
    await world.deploy(container={"env": [{"name": name, "value": value} for name, value in env.items()]})
    world.write(
        f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web:\n"
        '    environment: {IDENTITY: local, MINE: "a$$b"}\n    env: {exclude: [GONE, LINES, "dotted*"]}\n'
    )
    refused = await world.devcluster("env", "web", code=2)
    assert "deployment/web has no agent" in refused.stderr
    assert "`devcluster up web`" in refused.stderr
    await world.devcluster("up", "-d")

    said = {}
    for form in ("docker", "sh", "json", "yaml"):
        said[form] = world.folder / f"env.{form}"
        said[form].write_text((await world.devcluster("env", "web", "--format", form)).stdout)
    meant = json.loads(said["json"].read_text())
    wanted = _VALUES | {"IDENTITY": "local", "MINE": "a$b", "A_HOST": f"web.{world.namespace}"}
    assert {name: meant.get(name) for name in wanted} == wanted
    assert not {"GONE", "LINES", "dotted.name"} & meant.keys()
    assert yaml.safe_load(said["yaml"].read_text()) == meant
    assert _by_docker(world, said["docker"]) == meant
    shell = _by_shell(said["sh"])
    assert {name: shell.get(name) for name in meant} == meant
    assert (await world.devcluster("env", "web", "-o", "json")).stdout == said["json"].read_text()

    await _raw(world, env)
    await _config(world)
    for words, code in ((["/app", "resolve", "web"], 0), (["/app", "nosuch"], 1)):
        await world.devcluster("exec", "web", "--", *words, code=code)
    absent = await world.devcluster("exec", "web", "--", "/nosuch", code=None)
    assert absent.code in (126, 127)  # as a shell says it; which one is up to the engine


async def _raw(world: World, env: dict[str, str]) -> None:
    """The pod's own: nothing rewritten, added or removed; and what not every format can carry."""
    raw = json.loads((await world.devcluster("env", "web", "--raw", "--format", "json")).stdout)
    assert {name: raw.get(name) for name in env} == env
    assert "MINE" not in raw
    for form, name in (("docker", "LINES"), ("sh", "dotted.name")):
        done = await world.devcluster("env", "web", "--raw", "--format", form, code=2)
        assert f"the format {form} can't carry {name}" in done.stderr
        assert "--format json can" in done.stderr
        assert done.stdout == ""
        assert "planted-" not in done.stderr


async def _config(world: World) -> None:
    shown = (await world.devcluster("config")).stdout
    assert "a$b" not in shown.replace("$$", "$")
    again = world.write(shown, "again.yaml")
    assert (await world.devcluster("-f", str(again), "config")).stdout == shown
    as_json = (await world.devcluster("config", "-o", "json")).json
    assert as_json["workloads"]["web"]["env"] == {"exclude": ["GONE", "LINES", "dotted*"]}
    assert yaml.safe_load(shown) == as_json
    schema = (await world.devcluster("config", "--schema")).json
    keys = [it for it in schema["properties"]["workloads"]["patternProperties"].values() if it]
    (workload,) = [it["properties"].keys() for it in keys if "properties" in it]
    assert as_json["workloads"]["web"].keys() <= workload
