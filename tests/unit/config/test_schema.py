"""Schema, parser and rendering say the same."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.config.load import parse_project
from devcluster.config.model import Project
from devcluster.config.read.keys import PROJECT, WORKLOAD
from devcluster.config.render import MASK, render_config
from devcluster.config.schema import schema
from devcluster.errors import ConfigurationError

REFERENCE = Path(__file__).parents[3] / "docs" / "reference.md"


def read(text: str) -> Project:
    return parse_project(
        text, path=Path("/p/x/devcluster.yaml"), environ={}, dotenv={}, env_files=lambda path: "A=1\n"
    )


def accepts(rule: Any, value: Any) -> bool:
    """As much of JSON Schema as ours uses."""
    if isinstance(rule, bool) or rule == {}:
        return rule is not False
    if "not" in rule and accepts(rule["not"], value):
        return False
    if "anyOf" in rule and not any(accepts(part, value) for part in rule["anyOf"]):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "type" in rule and not any(_is(kind, value) for kind in _list(rule["type"])):
        return False
    if isinstance(value, str):
        return len(value) >= rule.get("minLength", 0) and bool(re.search(rule.get("pattern", ""), value))
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        low = value >= rule.get("minimum", value) and value > rule.get("exclusiveMinimum", value - 1)
        return bool(low and value <= rule.get("maximum", value))
    if isinstance(value, list):
        first = all(map(accepts, rule.get("prefixItems", ()), value))
        every = all(accepts(rule.get("items", {}), part) for part in value)
        return first and every and len(value) >= rule.get("minItems", 0)
    return _accepts_map(rule, value)


def _accepts_map(rule: Any, value: dict[str, Any]) -> bool:
    if not set(rule.get("required", ())) <= set(value):
        return False
    if not all(accepts(rule.get("propertyNames", {}), name) for name in value):
        return False
    for name, part in value.items():
        rules = [of for pattern, of in rule.get("patternProperties", {}).items() if re.search(pattern, name)]
        if name in rule.get("properties", {}):
            rules.append(rule["properties"][name])
        if not all(accepts(each, part) for each in rules or [rule.get("additionalProperties", {})]):
            return False
    return True


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is(kind: str, value: Any) -> bool:
    kinds: dict[str, type] = {
        "object": dict,
        "array": list,
        "string": str,
        "null": type(None),
        "boolean": bool,
    }
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    return isinstance(value, kinds[kind])


def understood(text: str) -> bool:
    try:
        read(text)
    except ConfigurationError:
        return False
    return True


TEXTS = r"""
true | off | "yes" | 1 | "1" | 8080 | "8080" | 70000 | 0.5 | "0.5" | -1 | ~ | "" | a | A B
replace | steal | container | copy | front | always | from-pod | 15s | "15" | 1m30s | soon | 1GiB | big | /abs
deployments/a | daemonset.apps/a/b | deploymentxapps/a
deployment/a | deploy/a/b | pod/a | a/b/c/d | "1001:1001" | 1001 | [] | [a] | [8080]
['8080:80'] | ['80:80/UDP']
['::1:6000:6000'] | ['[::1]:80:80'] | ['3000-3002:1-3'] | ['127.0.0.1::80'] | ['80/sctp'] | ['x:80'] | [70000]
[true] | ['./a:/b'] | ['./a:/b:ro,z'] | ['./a:b'] | ['a:/b:xx'] | [/b] | [a=b] | ['=a']
['a:1.2.3.4'] | ['a=[::1]']
['a:nope'] | [{target: 80}] | [{target: "80", published: "8080", protocol: UDP}] | [{published: 80}]
[{target: 80, host_ip: nope}] | [{type: bind, source: a, target: /b}] | [{type: bind, target: /b}]
[{type: tmpfs, target: /b, tmpfs: {size: 64m, mode: 0o1777}}] | [{type: x, target: /b}]
[{type: volume, target: /b, volume: {nocopy: "true"}}] | [{type: volume, target: b}]
{} | {a: b} | {a: 1} | {a: } | {a: [b]} | {a: {mode: off}} | {a: {limit: 1GiB}}
{a: {limit: lots}} | {x-a: 1}
{a: {mode: read}} | {target: 80} | {test: a} | {test: [CMD, a]} | {test: [curl]} | {test: []} | {interval: 5s}
{test: a, interval: 5s, retries: "3"} | {test: a, interval: 5} | {disable: true} | {disable: false}
{exclude: [A]} | {exclude: A} | {include: [A]} | {environment: true} | {environment: [A]} | {environment: off}
{services: [a]} | {services: [A]} | {a: {soft: 1, hard: "2"}} | {a: {soft: 1}} | {a: "1024"}
{a: -2} | {a: many}
{a: 1.2.3.4} | {a: ['::1']} | {path: x} | [{path: x, required: false}] | [{path: x, format: y}]
[{required: true}]
[{source: /dev/a}] | [{source: /dev/a, permissions: x}] | [/run, '/tmp:size=1m'] | {"a=b": c}
"""
SAMPLES = tuple(part.strip() for part in re.split(r"[|\n]", TEXTS) if part.strip())
# YAML has taken these for something else before a schema sees them.
READ_BY_YAML = {("target", "true"), ("target", "off"), ("target", "0.5"), ("services", "[true]")}


@pytest.mark.parametrize("key", [key.name for key in WORKLOAD.keys])
def test_schema_and_parser_take_and_refuse_the_same(key: str) -> None:
    rule = schema()
    beside = "mode: intercept, " if key == "services" else ""  # what goes together is the parser's alone
    for sample in SAMPLES:
        text = f"workloads: {{w: {{{beside}{key}: {sample}}}}}"
        if (key, sample) not in READ_BY_YAML:
            assert understood(text) == accepts(rule, yaml.safe_load(text)), sample


@pytest.mark.parametrize(
    "text",
    [
        "name: 1",
        "name: My Shop",
        "namespace: kube_system",
        "agent: {port: '9900'}",
        "agent: {port: 0}",
        "agent: {fronts: 65536}",
        "agent: {lease: 1m}",
        "agent: {lease: soon}",
        "agent: {delivery: disk}",
        "agent:",
        "network: {local: ['*.corp.example', 192.168.7.0/24, '::1', host.docker.internal]}",
        "network: {local: ['a b']}",
        "tunnels: ['1:a:1', 'b.c:2']",
        "tunnels: [a, '1:2']",
        "x-a: [{}]",
    ],
)
def test_they_do_for_the_project_too(text: str) -> None:
    text += "\nworkloads: {w: }"
    assert understood(text) == accepts(schema(), yaml.safe_load(text))
    assert not accepts(schema(), {"workloads": {"x-a": {}}})


@pytest.mark.parametrize("key", [key.name for key in WORKLOAD.keys])
def test_every_key_is_in_both(key: str) -> None:
    properties = _workload_schema()["properties"]
    later = properties[key].get("not") == {}
    assert later == any_later(key)
    assert properties[key]["description"]
    assert f"`{key}`" in REFERENCE.read_text()


def _workload_schema() -> Any:
    table = schema()["properties"]["workloads"]["patternProperties"]
    return next(part for pattern, part in table.items() if pattern != "^x-")


def any_later(key: str) -> bool:
    """Whether the parser refuses each sample of *key* that it does not call wrong, as not built yet."""
    messages = []
    for sample in SAMPLES:
        try:
            read(f"workloads: {{w: {{{key}: {sample}}}}}")
        except ConfigurationError as error:
            messages.append(str(error))
        else:
            return False
    return any("not built yet" in message for message in messages)


def test_both_take_the_same_local_names() -> None:
    for name in ("web", "w.x", "Web", "w_x", "x-a", "7", "w."):
        for settings in ({}, None, {"target": "deployment/web"}):
            value = {"workloads": {name: settings, "other": {}}}
            text = yaml.safe_dump(value)
            assert understood(text) == accepts(schema(), value), text
            if understood(text):
                assert read(render_config(read(text))) == read(text)


def test_unknown_keys_are_refused_by_both() -> None:
    for text in (
        "zzz: 1\nworkloads: {w: }",
        "workloads: {w: {zzz: 1}}",
        "agent: {zzz: 1}\nworkloads: {w: }",
        "workloads: {}",
    ):
        assert not understood(text)
        assert not accepts(schema(), yaml.safe_load(text))
    assert accepts(schema(), {"workloads": {"w": None, "x-a": 1}, "x-b": []})
    assert set(schema()["properties"]) == {key.name for key in PROJECT.keys}
    json.dumps(schema())


FULL = """
name: shop
context: kind-dev
namespace: wordpress
agent: {port: 9901, fronts: 20000, lease: 15s, delivery: emptydir}
network: {local: ["*.corp.example", 10.0.0.0/8]}
workloads:
  w:
    target: sts/db/main
    take: direct
    order: stop-first
    image: "a$$b"
    pull_policy: never
    pod_command: [a]
    entrypoint: []
    command: [sh, -c, "echo $$HOME"]
    working_dir: /app
    user: "1:1"
    ports: ["80:8080", "81/udp", "90-99:82"]
    environment: {TOKEN: hush}
    env_file: x
    env: {exclude: [A]}
    rewrite: {environment: [A], services: [b]}
    volumes: {data: {path: ./v, rewrite: [a], exclude: [b], limit: 5m}}
    mounts: ["./a:/b:ro", "c:/d"]
    healthcheck: {test: [CMD, "true"], interval: 1500ms, retries: 2, start_interval: 1s}
    cap_add: [A]
    extra_hosts: {a: 1.2.3.4}
    init: false
    labels: {a: b}
    mem_limit: 1GiB
    cpus: 0.5
    sysctls: {a: 1}
    tmpfs: [/t]
    tty: true
    ulimits: {nofile: {soft: 1, hard: 2}}
"""


def test_rendering_is_read_back_as_the_same() -> None:
    project = read(FULL)
    text = render_config(project)
    masked = tuple((name, MASK) for name, _ in project.workloads[0].environment)
    assert read(text) == replace(project, workloads=(replace(project.workloads[0], environment=masked),))
    assert accepts(schema(), yaml.safe_load(text))
    assert yaml.safe_load(render_config(project, "json")) == yaml.safe_load(text)


def test_rendering_masks_the_environment() -> None:
    text = render_config(read(FULL))
    assert "hush" not in text
    assert "TOKEN: '***'" in text


def test_patterns_are_those_that_an_editor_reads() -> None:
    """JSON Schema's are ECMA-262's; of Python's `(?…)` they know only these."""
    for pattern in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(schema())):
        for group in re.findall(r"(?<!\\)\(\?.", json.loads(pattern)):
            assert group in ("(?:", "(?!", "(?="), pattern
