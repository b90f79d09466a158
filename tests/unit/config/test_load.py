"""devcluster.yaml: what is understood, and every message for what is not."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devcluster.config.check import compose, manifest
from devcluster.config.load import find_file, load_project, normalise_name, parse_project
from devcluster.config.model import (
    Agent,
    Healthcheck,
    Mount,
    Network,
    Project,
    Publish,
    Rewrite,
    Target,
    Tunnel,
    VolumeRule,
    Workload,
)
from devcluster.config.read.keys import PROJECT, WORKLOAD
from devcluster.errors import ConfigurationError

HOME = Path("/home/ann/My Shop")
FILES = {
    HOME / "local.env": "FROM_FILE=1\nBOTH='file'\n# no\nSHELL_ONLY\n",
    HOME / "second.env": "SECOND=${BOTH}-$A\n",
    HOME / "broken.env": "=hush\nB=${hush\nC='hush\nhush:\"x\n",
    HOME / "seccomp.json": '{ "defaultAction": "SCMP_ACT_ALLOW" }',
}


def read(text: str, **environ: str) -> Project:
    def env_file(path: Path) -> str:
        if path not in FILES:
            raise FileNotFoundError(2, "gone")
        return FILES[path]

    return parse_project(
        text,
        path=HOME / "devcluster.yaml",
        environ=environ,
        dotenv={"DOT": "dot", "A": "dot"},
        env_files=env_file,
    )


def workload(settings: str, **environ: str) -> Workload:
    lines = "".join(f"    {line}\n" for line in settings.strip().split("\n"))
    return read(f"workloads:\n  w:\n{lines}", **environ).workloads[0]


def problems(text: str, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text, **environ)
    return str(caught.value)


def refused(settings: str, **environ: str) -> str:
    lines = "".join(f"    {line}\n" for line in settings.strip().split("\n"))
    return problems(f"workloads:\n  w:\n{lines}", **environ)


def test_the_shortest_file() -> None:
    project = read("workloads: {wordpress: }")
    assert project == Project(
        name="myshop",
        file=HOME / "devcluster.yaml",
        workloads=(Workload("wordpress", Target("wordpress")),),
    )


def test_project_keys() -> None:
    project = read(
        "name: shop\ncontext: kind-dev\nnamespace: wp\nx-mine: [1]\n"
        "agent: {port: 1234, fronts: 20000, lease: 1m30s, delivery: emptydir}\n"
        'network: {local: ["*.corp.example", 192.168.7.9, 192.168.7.0/24, host.docker.internal]}\n'
        "workloads: {w: {x-note: 1}}\n"
    )
    assert (project.name, project.context, project.namespace) == ("shop", "kind-dev", "wp")
    assert project.agent == Agent(1234, 20000, 90.0, "emptydir")
    names, networks = ("*.corp.example", "host.docker.internal"), ("192.168.7.9/32", "192.168.7.0/24")
    assert project.network == Network(names, networks)


def test_the_message_of_the_contract() -> None:
    text = "name: shop\nnamespace: wordpress\n\nworkloads:\n  wordpress:\n    # what\n    mode:     steal\n"
    assert problems(text) == (
        'devcluster.yaml:7:15: workloads.wordpress.mode: expected replace, intercept or ingest, got "steal"\n'
        "      mode:     steal\n"
        "                ^"
    )


def test_every_problem_at_once_in_order() -> None:
    text = problems("nmae: x\nagent: {port: 0}\nworkloads:\n  w: {take: fornt, imgae: x}\n")
    assert [line for line in text.split("\n") if line.startswith("devcluster")] == [
        "devcluster.yaml:1:1: nmae: unknown key",
        'devcluster.yaml:2:15: agent.port: expected a number from 1 to 65535, got "0"',
        'devcluster.yaml:4:13: workloads.w.take: expected front or direct, got "fornt"',
        "devcluster.yaml:4:20: workloads.w.imgae: unknown key",
    ]
    assert "  did you mean name?" in text
    assert "  did you mean front?" in text
    assert "  did you mean image?" in text


def test_what_lies_outside_is_told_beside_all_else() -> None:
    text = refused(
        "imgae: a\n"
        "env_file: [local.env, nope.env, {path: broken.env}]\n"
        "security_opt: ['seccomp=no.json']\n"
        "mounts: ['./a:/x', './b:/x', 'c:d']\n"
        "tmpfs: [/x/]"
    )
    assert [line for line in text.split("\n") if line.startswith("devcluster")] == [
        "devcluster.yaml:3:5: workloads.w.imgae: unknown key",
        "devcluster.yaml:4:27: workloads.w.env_file[1]: nope.env does not exist",
        "devcluster.yaml:4:37: workloads.w.env_file[2]: broken.env: line 1: expected NAME=value",
        "devcluster.yaml:4:37: workloads.w.env_file[2]: broken.env: line 2: B: ${ is not closed by }",
        "devcluster.yaml:4:37: workloads.w.env_file[2]: broken.env: line 3: C: a quote is not closed",
        "devcluster.yaml:5:20: workloads.w.security_opt[0]: no.json can't be read: No such file or directory",
        "devcluster.yaml:6:24: workloads.w.mounts[1]: /x is mounted twice",
        'devcluster.yaml:6:34: workloads.w.mounts[2]: expected an absolute path in the container, got "c:d"',
        "devcluster.yaml:7:13: workloads.w.tmpfs[0]: /x is mounted twice",
    ]
    assert "hush" not in text


def test_a_broken_dotenv_is_told_beside_all_else(tmp_path: Path) -> None:
    (tmp_path / "devcluster.yaml").write_text("workloads:\n  w: {imgae: a, image: '${TAG:?say which}'}\n")
    (tmp_path / ".env").write_text("TAG=1\n= hush\nB='hush\n")
    (tmp_path / "below").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        load_project(file=Path("../devcluster.yaml"), cwd=tmp_path / "below", environ={})
    assert [line for line in str(caught.value).split("\n") if line.startswith("..")] == [
        "../.env:2:1: expected NAME=value",
        "../.env:3:1: B: a quote is not closed",
        "../devcluster.yaml:2:7: workloads.w.imgae: unknown key",
    ]
    assert "hush" not in str(caught.value)
    (tmp_path / "devcluster.yaml").write_text("workloads: {")
    with pytest.raises(ConfigurationError, match=r"(?s)\.env:2:1: .*not YAML"):
        load_project(file=Path("devcluster.yaml"), cwd=tmp_path, environ={})
    (tmp_path / ".env").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"(?s)^\.env:1:1: not UTF-8.*not YAML"):
        load_project(file=Path("devcluster.yaml"), cwd=tmp_path, environ={})


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("mode: intercept, take: direct", "w.take: direct needs an original that is stopped"),
        ("services: [a]", "w.services: goes with `mode: intercept`; with replace nobody else can answer"),
        (
            "mode: ingest, services: [a]",
            "w.services: goes with `mode: intercept`; with ingest no traffic comes",
        ),
        ("mode: steal", "w.mode: expected replace, intercept or ingest, got"),
        ("port_map: {http: 0}", "w.port_map.http: expected"),
        ("port_map: ['8080:3000']", "w.port_map: expected a map, got a list"),
        ("port_map: {0: 1}", "w.port_map.0: expected a port of the pod, by number or name"),
        ("port_map: {65536: 1}", "w.port_map.65536: expected a port of the pod, by number or name"),
        ("mode: intercept, services: every", "w.services: expected a list, got text"),
    ],
)
def test_what_goes_with_which_mode(setting: str, told: str) -> None:
    assert told in problems(f"workloads: {{w: {{{setting}}}}}")


def test_modes_and_ports_are_understood() -> None:
    settings = "mode: intercept, services: [a], port_map: {8080: 3000, http: 3001}"
    w, v = read(f"workloads: {{w: {{{settings}}}, v: {{mode: ingest}}}}").workloads
    assert (w.mode, w.services, v.mode) == ("intercept", ("a",), "ingest")
    assert w.port_map == ((8080, 3000), ("http", 3001))


def test_tunnels_are_understood() -> None:
    text = "tunnels: ['3306:db:3306', Redis.infra:6379, '0:db:80', '[fd00::1]:53']\nworkloads: {w: }"
    assert read(text).tunnels == (
        Tunnel("db", 3306, 3306),
        Tunnel("redis.infra", 6379),
        Tunnel("db", 80),
        Tunnel("fd00::1", 53),
    )


@pytest.mark.parametrize(
    ("tunnels", "told"),
    [
        ("{a: 1}", "tunnels: expected a list, got a map"),
        ("['3306']", "tunnels[0]: expected [PORT:]HOST:PORT, got"),
        ("['80:90']", "tunnels[0]: expected [PORT:]HOST:PORT, got"),
        ("['db:70000']", "tunnels[0]: expected a port from 1 to 65535"),
        ("['db:53/udp']", "tunnels[0]: expected a TCP port: UDP can't be tunnelled"),
        ("['1:a:2', '1:b:2']", "tunnels[1]: tunnels[0] already uses port 1 of the laptop"),
        ("['a:2', 'a:2']", "tunnels[1]: tunnels[0] is the same"),
    ],
)
def test_wrong_tunnels(tunnels: str, told: str) -> None:
    assert told in problems(f"tunnels: {tunnels}\nworkloads: {{w: }}")


def test_a_process_is_understood() -> None:
    settings = "run: host, port_map: {8080: 3000}, env: {export: ./w.json}, pod_command: /app"
    w, v = read(f"workloads: {{w: {{{settings}}}, v: {{run: container, image: a}}}}").workloads
    assert (w.run, v.run) == ("host", "container")
    assert w.env_export == Path("/home/ann/My Shop/w.json")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("image: a", "a process of the laptop has no container"),
        ("command: a", "a process of the laptop has no container"),
        ("cap_add: [A]", "a process of the laptop has no container"),
        ("healthcheck: off", "a process is not asked whether it is well"),
        ("mounts: ['./a:/b']", "a process sees the laptop's folders as they are"),
        ("ports: ['53:53/udp']", "and only TCP does"),
    ],
)
def test_keys_of_a_container_are_refused_for_a_process(key: str, why: str) -> None:
    text = problems(f"workloads:\n  w: {{run: host, {key}}}")
    name = key.partition(":")[0]
    assert text.startswith(f"devcluster.yaml:2:18: workloads.w.{name}: goes with `run: container`: ")
    assert why in text


@pytest.mark.parametrize(
    ("exports", "told"),
    [
        (("./a.txt",), "w0.env.export: expected a path that ends in .env, .json, .sh, .yaml or .yml"),
        (("./.env",), "w0.env.export: devcluster reads this file itself: choose another name"),
        (("./a.env", "a.env"), "w1.env.export: shares the file /home/ann/My Shop/a.env with"),
    ],
)
def test_wrong_exports(exports: tuple[str, ...], told: str) -> None:
    rows = "".join(f"  w{number}: {{env: {{export: {path}}}}}\n" for number, path in enumerate(exports))
    assert told in problems(f"workloads:\n{rows}")


@pytest.mark.parametrize(
    "setting",
    [
        "build: .",
        "build: {context: .}",
        "platform: linux/arm64",
        "env: {include: [A]}",
        "build:",
        "volumes: {a: {mode: overlay}}",
        "volumes: {a: {mode: read}}",
        "volumes: {a: {mode: write}}",
        "depends_on: [a]",
        "profiles: [a]",
        "develop: {}",
        "extends: {service: a}",
    ],
)
def test_workload_keys_that_come_later(setting: str) -> None:
    text = refused(setting)
    assert "not built yet" in text
    assert text.startswith("devcluster.yaml:3:")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("run: sideways", 'expected container or host, got "sideways"'),
        (
            "volumes: {a: {mode: stael}}",
            'expected copy, sync, empty or off, got "stael"',
        ),
        ("port_map: {8080: x}", "workloads.w.port_map.8080: expected a number from 1 to 65535"),
        ("volumes: ['./a:/b']", "write Compose's list of binds under mounts"),
        ("image: a\nimage: b", "devcluster.yaml:4:5: workloads.w.image: written twice, first in line 3"),
        ("image:", "workloads.w.image: expected text that is not empty, got nothing"),
        ("image: [a]", "got a list"),
        ("ports: 80", "expected a list"),
        ("ports: ['80:80:80:80']", "workloads.w.ports[0]: expected [ADDRESS:][HOST:]CONTAINER[/udp]"),
        ("ports: ['1-3:1-2']", "as many ports on the laptop"),
        ("ports: [70000]", "expected a port from 1 to 65535"),
        ("ports: [{published: 1}]", "target is missing"),
        ("ports: [{target: 1, published: 9-5}]", "published: expected a port from 1 to 65535"),
        ("ports: ['9-5:80']", "ports[0]: expected a port from 1 to 65535"),
        ("cpus: nan", "a number of processors"),
        ("cpus: -1", "a number of processors"),
        ("init: maybe", "expected true or false"),
        ("mem_limit: 1 apple", "expected a size such as 512m or 1GiB"),
        ("mem_limit: 999999999999999t", "expected a size below"),
        ("healthcheck: {interval: 5s}", "test is missing"),
        ("healthcheck: {test: [curl]}", "begins with CMD"),
        ("healthcheck: {test: a, interval: 5}", "expected a duration"),
        ("target: a/b/c/d", "expected kind/name/container"),
        ("target: pod/x", "expected deployment, statefulset or daemonset: a pod can have no agent, what it"),
        ("target: replicaset.apps/x", "daemonset: a replicaset can have no agent, what it belongs to may"),
        ("target: rc/x", "a replicationcontroller can have no agent"),
        ("target: Deployment/x", "expected deployment, statefulset or daemonset before the first /"),
        ("target: node/x", "expected deployment, statefulset or daemonset before the first /"),
        ('command: "a \'b"', "a shell can split"),
        ("env_file: gone.env", "workloads.w.env_file: gone.env does not exist"),
        ("image: !mine x", "devcluster.yaml:3:12: workloads.w.image: custom YAML tags"),
        ("image: ${NOPE:?say which}", "NOPE is required but not set: say which"),
        ("image: ${NOPE", "${ is not closed by }"),
        ("working_dir: app", "an absolute path"),
        ("mounts: ['./a:b']", "an absolute path in the container"),
        ("ulimits: {nofile: many}", "expected a number, or {soft"),
        ("extra_hosts: [a]", "expected name=value"),
        ("extra_hosts: {a: [1.2.3.4, hush]}", "extra_hosts.a: expected an IP address or host-gateway"),
        ("ports: ['1-2000:1-2000']", "expected at most 1000 ports"),
        ("ports: ['1:2:3']", "expected [ADDRESS:][HOST:]CONTAINER[/udp], got"),
        ("mounts: [{type: bind, target: /x}]", "mounts[0]: source is missing"),
        ("mounts: ['./a:/x', './b:/x/']", "devcluster.yaml:3:24: workloads.w.mounts[1]: /x is mounted twice"),
        (
            "mounts: ['./a:/x']\ntmpfs: '/x:size=1m'",
            "devcluster.yaml:4:12: workloads.w.tmpfs: /x is mounted twice",
        ),
        (
            "security_opt: ['seccomp=gone.json']",
            "workloads.w.security_opt[0]: gone.json can't be read: No such",
        ),
        ("security_opt: ['seccomp:local.env']", "workloads.w.security_opt[0]: local.env is not JSON"),
        ("devices: [{target: /dev/x}]", "source is missing"),
        ("restart: always", "w.restart: not built yet"),
        ("pull_policy: build", "w.pull_policy: build is not built yet"),
        ("pull_policy: daily", "w.pull_policy: daily is not built yet"),
        ("pull_policy: every_12h", 'expected always, missing or never, got "every_12h"'),
        ("extra_hosts: {a: mail}", 'w.extra_hosts.a: expected an IP address or host-gateway, got "mail"'),
        ("extra_hosts: ['a:mail']", 'extra_hosts[0]: expected an IP address or host-gateway, got "a:mail"'),
        ("rewrite: {environment: maybe}", "expected true, false or a list of variables, got ***"),
        ("command: [a, null]", "w.command[1]: expected text, got nothing"),
        ("target: Deployment/web", "expected deployment, statefulset or daemonset before the first /"),
        ("ulimits: {nofiles: 1}", "w.ulimits.nofiles: expected core, cpu, data, fsize, locks, memlock,"),
        ("ulimits: {nofile: {soft: 2, hard: 1}}", "expected a soft limit that is not above the hard one"),
        ("ulimits: {nofile: {soft: -1, hard: 1}}", "expected a soft limit that is not above the hard one"),
        (
            "ports: ['8080:80', '8080:81']",
            "devcluster.yaml:3:24: workloads.w.ports[1]: ports[0] already uses port 8080 of the laptop",
        ),
        ("ports: ['1-3:1-3', '0.0.0.0:2:9']", "ports[1]: ports[0] already uses port 2 of the laptop"),
        (
            "ports: ['80:80', {target: 80, published: 80}]",
            "ports[1]: ports[0] already uses port 80 of the laptop",
        ),
        (
            "volumes: {d: {exclude: [a, '[a']}}",
            "devcluster.yaml:3:32: workloads.w.volumes.d.exclude[1]: expected a pattern (`[a-c]`",
        ),
        ("volumes: {d: {rewrite: 'b['}}", "workloads.w.volumes.d.rewrite: expected a pattern"),
        (
            "volumes: {d: {path: ./x}, /e: {path: x}}",
            "devcluster.yaml:3:42: workloads.w.volumes./e.path: shares the folder /home/ann/My Shop/x with",
        ),
        (
            "imgae: x\nvolumes: {d: {path: ./x/y}, e: {path: ../My Shop/x}}",
            "e.path: shares the folder /home/ann/My Shop/x with workloads.w.volumes.d.path",
        ),
    ],
)
def test_messages(setting: str, message: str) -> None:
    assert message in refused(setting)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "devcluster.yaml:1:1: the file is empty: workloads is missing"),
        ("name: a", "devcluster.yaml:1:1: workloads is missing"),
        ("workloads: {}", "devcluster.yaml:1:12: workloads: expected a map with at least one entry"),
        ("workloads:", "workloads: expected a map with at least one entry, got nothing"),
        ("workloads: {x-a: {}}", "workloads: expected a map with at least one entry"),
        ("- a", "expected a map, got a list"),
        ("workloads: {a b: }", "workloads.a***: expected a name of letters"),
        ("name: My Shop\nworkloads: {w: }", "name: expected lower case letters"),
        ("workloads:\n  w: {\n", "devcluster.yaml:3:1: not YAML"),
        ("workloads:\n\tw: a", "devcluster.yaml:2:1: not YAML"),
        ("a: \x07", "devcluster.yaml:1:4: a character that YAML does not allow"),
        ("a: &a [*a]", "inside its own anchor"),
        ("[" * 5000, "nested too deeply"),
        ("agent: {lease: 1s}\nworkloads: {w: }", "agent.lease: expected a duration from 3s to 1h"),
        ("network: {local: ['a b']}\nworkloads: {w: }", "network.local[0]: expected a name"),
    ],
)
def test_files_that_are_wrong_as_a_whole(text: str, message: str) -> None:
    assert message in problems(text)


@pytest.mark.parametrize("name", sorted(compose.WORKLOAD | manifest.WORKLOAD))
def test_a_key_of_another_program_gets_its_own_answer(name: str) -> None:
    answer = compose.WORKLOAD[name] if name in compose.WORKLOAD else manifest.WORKLOAD[name]
    text = refused(f"{name}: x")
    assert text == f"devcluster.yaml:3:5: workloads.w.{name}: {answer}\n      {name}: ***\n      ^"
    assert name not in {key.name for key in WORKLOAD.keys}


def test_at_the_top_too() -> None:
    for name, answer in (compose.PROJECT | manifest.PROJECT).items():
        text = problems(f"{name}: {{}}\nworkloads: {{w: }}")
        assert text == f"devcluster.yaml:1:1: {name}: {answer}\n  {name}: {{}}\n  ^"
        assert name not in {key.name for key in PROJECT.keys}


def test_an_answer_says_what_to_do_and_where_the_key_is_from() -> None:
    answers = (*compose.WORKLOAD.values(), *compose.PROJECT.values())
    assert all(
        text.startswith(("only Compose has this key; remove it: ", "only Compose has this key; write `"))
        for text in answers
    )
    answers = (*manifest.WORKLOAD.values(), *manifest.PROJECT.values())
    heads = ("this is a Kubernetes key; ", "this is a Dockerfile's word; ")
    assert all(text.startswith(heads) and ("remove it: " in text or "write " in text) for text in answers)
    assert "write `command`" in manifest.WORKLOAD["args"]
    assert "write `command`" in manifest.WORKLOAD["cmd"]
    assert "KIND/NAME/CONTAINER" in manifest.WORKLOAD["container"]
    assert {"replicas", "kind", "memory"} < set(manifest.WORKLOAD)
    assert not set(manifest.WORKLOAD) & set(compose.WORKLOAD)


@pytest.mark.parametrize(
    "text", ["services: {web: {image: a}}", "version: '3'\nservices:", "kind: Pod\nspec: {}"]
)
def test_whose_file_it_is_stands_above_nothing_that_is_missing(text: str) -> None:
    message = problems(text)
    assert "missing" not in message
    assert "write `workloads`" in message.lower()


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("nmae", ""),
        ("imgae", "image"),
        ("prots", "ports"),
        ("enviroment", "environment"),
        ("volume", "volumes"),
    ],
)
def test_a_slip_is_told_and_no_more(key: str, near: str) -> None:
    assert refused(f"{key}: x").partition("did you mean ")[2] == (f"{near}?" if near else "")


def test_what_is_no_yaml_is_said_with_its_signs() -> None:
    assert "not YAML: expected ',' or '}', but got ':'" in problems("workloads: {w: {image: a: b}}")
    assert problems("workloads:\n\tw: a").startswith("devcluster.yaml:2:1: not YAML: a tab where spaces are")


def test_interpolation_comes_from_the_shell_then_dotenv() -> None:
    item = workload("image: '${A}-${DOT}-${NO:-x}-$$-${A:+yes}'", A="shell")
    assert item.image == "shell-dot-x-$-yes"
    assert read("agent: {port: '${P}'}\nworkloads: {w: }", P="1234").agent.port == 1234


def test_a_variable_that_nobody_set_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "devcluster.yaml").write_text(
        "name: a$NO\nx-a: ${NOT}\nworkloads:\n  w:\n"
        "    image: ${NO}${TAG:-x}${TAG-x}${TAG:+x}$$NOT${SET}$TAGS\n"
        "    environment: {A: '${TAGS}', B: '${ONE}$SET', C: }\n    env_file: [e]\n"
        "    mounts: ['./$M:/x', './$M:/y']\n"
    )
    (tmp_path / ".env").write_text("# no\nSET=\nE=${FAR}hush\n")
    (tmp_path / "e").write_text("Q='$NOT'\nF=${NEAR}\nG=$F${NEAR}${TAGS}\n")
    told: list[str] = []
    (tmp_path / "below").mkdir()
    load_project(file=Path("../devcluster.yaml"), cwd=tmp_path / "below", environ={}, warn=told.append)
    assert told == [
        f"{where}: warning: the variable {name} is not set, so it is empty"
        for where, name in (
            ("../.env:3:1", "FAR"),
            ("../devcluster.yaml:1:7", "NO"),
            ("../devcluster.yaml:5:12", "TAGS"),
            ("../devcluster.yaml:6:36", "ONE"),
            ("../e:2:1", "NEAR"),
            ("../devcluster.yaml:8:14", "M"),
        )
    ]


def test_what_may_be_a_piece_of_a_password_is_no_name(tmp_path: Path) -> None:
    text = "x-a: &a pa$hush\nworkloads: {w: {environment: {A: pa$hush, B: *a}, env_file: e}}\n"
    (tmp_path / "devcluster.yaml").write_text(text)
    (tmp_path / "e").write_text("A=pa$hush\n")
    told: list[str] = []
    load_project(file=Path("devcluster.yaml"), cwd=tmp_path, environ={}, warn=told.append)
    assert [line.partition(" ")[0] for line in told] == [
        "devcluster.yaml:2:34:",
        "devcluster.yaml:1:6:",
        "e:1:1:",
    ]
    assert all("a variable is not set" in line and "hush" not in line for line in told)


def test_environment_forms() -> None:
    expected = (("A", "shell"), ("B", "x=y"), ("C", ""))
    assert workload("environment: {A: , B: x=y, C: '', NO: }", A="shell").environment == expected
    assert workload("environment: [A, B=x=y, C=, NO]", A="shell").environment == expected
    assert workload("environment: {T: true, N: 1.50, Y: yes}").environment == (
        ("T", "true"),
        ("N", "1.50"),
        ("Y", "yes"),
    )


def test_env_file_is_under_environment() -> None:
    item = workload("env_file: local.env\nenvironment: {BOTH: here}", SHELL_ONLY="s")
    assert dict(item.environment) == {"FROM_FILE": "1", "BOTH": "here", "SHELL_ONLY": "s"}
    item = workload("env_file: [{path: gone.env, required: false}, local.env]")
    assert dict(item.environment) == {"FROM_FILE": "1", "BOTH": "file"}
    item = workload("env_file: [local.env, second.env]", A="shell")
    assert dict(item.environment)["SECOND"] == "file-shell"


def test_ports_short_and_long() -> None:
    item = workload(
        "ports: ['8080', '80:8080', '127.0.0.2:81:8080/udp', '90-91:190-191', '[::1]:5:6',"
        " {target: 1, published: '2'}]"
    )
    assert item.ports == (
        Publish(8080, None),
        Publish(8080, 80),
        Publish(8080, 81, "127.0.0.2", "udp"),
        Publish(190, 90),
        Publish(191, 91),
        Publish(6, 5, "::1"),
        Publish(1, 2),
    )
    assert workload("ports: [22:22]").ports == (Publish(22, 22),)
    assert workload(
        "ports: ['8000-9000:80', '0:81', '127.0.0.1:90-91:82/udp', {target: 1, published: 5-6},"
        " {target: 2, published: 0}]"
    ).ports == (
        Publish(80, 8000, last=9000),
        Publish(81, None),
        Publish(82, 90, "127.0.0.1", "udp", last=91),
        Publish(1, 5, last=6),
        Publish(2, None),
    )
    assert workload("ports: ['::1:5:6', 80:80/UDP]").ports == (
        Publish(6, 5, "::1"),
        Publish(80, 80, protocol="udp"),
    )
    assert workload("ports: []").ports == ()
    assert workload("image: a").ports is None


def test_mounts_are_absolute() -> None:
    item = workload(
        "mounts: ['./src:/a:ro', '../b:/b', data:/c, /d,"
        " {type: tmpfs, target: /e}, {type: bind, source: x, target: /f}]"
    )
    assert item.mounts == (
        Mount(str(HOME / "src"), "/a", True),
        Mount("/home/ann/b", "/b"),
        Mount("data", "/c", kind="volume"),
        Mount("", "/d", kind="volume"),
        Mount("", "/e", kind="tmpfs"),
        Mount(str(HOME / "x"), "/f"),
    )


def test_options_of_mounts() -> None:
    item = workload(
        "mounts: ['./a:/a:ro,rslave', 'data:/b:nocopy',"
        " {type: bind, source: ./c, target: /c, bind: {propagation: shared, create_host_path: false}},"
        " {type: volume, source: d, target: /d, volume: {nocopy: true}, consistency: cached},"
        " {type: tmpfs, target: /e, tmpfs: {size: 64m, mode: 0o1777}},"
        " './f:/f:z,ro', {type: bind, source: ./g, target: /g, bind: {selinux: Z}}]"
    )
    assert item.mounts == (
        Mount(str(HOME / "a"), "/a", True, propagation="rslave"),
        Mount("data", "/b", kind="volume", copy=False),
        Mount(str(HOME / "c"), "/c", propagation="shared", create=False),
        Mount("d", "/d", kind="volume", copy=False),
        Mount("", "/e", kind="tmpfs", size=64 << 20, permissions=0o1777),
        Mount(str(HOME / "f"), "/f", True, selinux="z"),
        Mount(str(HOME / "g"), "/g", selinux="Z"),
    )
    with pytest.raises(ConfigurationError, match=r"tmpfs.mode: expected permissions such as 0o1777"):
        workload("mounts: [{type: tmpfs, target: /e, tmpfs: {mode: 9a}}]")


def test_volumes_and_rewrite() -> None:
    item = workload(
        "volumes: {data: {path: ./vol, rewrite: [a], exclude: ['c/**'], limit: 1GiB},"
        " /tmp/c: {mode: off}, d: , e: {mode: sync, force: true}}\n"
        "rewrite: {environment: [A, B], services: [db]}"
    )
    assert item.volumes == (
        VolumeRule("data", "copy", HOME / "vol", ("a",), ("c/**",), 1 << 30),
        VolumeRule("/tmp/c", "off"),  # noqa: S108
        VolumeRule("d"),
        VolumeRule("e", "sync", force=True),
    )
    assert item.rewrite == Rewrite(True, ("A", "B"), ("db",))
    assert workload("rewrite: {environment: false}").rewrite == Rewrite(False)


def test_commands() -> None:
    assert workload("command: \"a 'b c' d\"").command == ("a", "b c", "d")
    assert workload("command: [a, 1, true]").command == ("a", "1", "true")
    assert workload("entrypoint: []").entrypoint == ()
    assert workload("command: ").command is None
    assert workload("entrypoint: null").entrypoint is None


def test_what_stands_several_times_in_hosts() -> None:
    hosts = (("a", "1.2.3.4"), ("a", "::1"), ("b", "host-gateway"))
    assert workload("extra_hosts: ['a:1.2.3.4', 'a=[::1]', 'b:host-gateway']").runtime.extra_hosts == hosts
    assert workload("extra_hosts: {a: [1.2.3.4, '::1'], b: host-gateway}").runtime.extra_hosts == hosts


def test_a_seccomp_profile_travels_as_its_text() -> None:
    options = workload(
        "security_opt: ['seccomp=./seccomp.json', 'seccomp:unconfined', 'seccomp={}', label=disable]"
    ).runtime.security_opt
    profile = 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'
    assert options == (profile, "seccomp:unconfined", "seccomp={}", "label=disable")


def test_composes_former_name_of_missing() -> None:
    assert workload("pull_policy: if_not_present").pull_policy == "missing"


def test_no_hard_limit() -> None:
    assert workload("ulimits: {core: {soft: 5, hard: -1}}").runtime.ulimits == (("core", 5, -1),)


def test_devices_and_processors() -> None:
    runtime = workload("devices: [/dev/a, {source: /dev/b, permissions: r}]\ncpus: 0").runtime
    assert (runtime.devices, runtime.cpus) == (("/dev/a", "/dev/b:/dev/b:r"), None)


def test_healthcheck_forms() -> None:
    for word in ("off", "false", "'off'"):
        assert workload(f"healthcheck: {word}").healthcheck == Healthcheck("off")
        assert workload(f"volumes: {{a: {{mode: {word}}}}}").volumes == (VolumeRule("a", "off"),)
    assert workload("healthcheck: {disable: true}").healthcheck == Healthcheck("off")
    assert workload("healthcheck: {test: [NONE]}").healthcheck == Healthcheck("off")
    item = workload(
        "healthcheck: {test: curl x, interval: 1m30s, timeout: 500ms, retries: 3,"
        " start_period: 1h, start_interval: 2s, x-a: 1}"
    )
    assert item.healthcheck == Healthcheck("block", ("CMD-SHELL", "curl x"), 90, 0.5, 3, 3600, 2)


def test_runtime_keys() -> None:
    runtime = workload(
        "cap_add: [SYS_PTRACE]\nextra_hosts: ['a:1.2.3.4', 'b=::1']\nlabels: [a=b]\nmem_limit: 512m\n"
        "cpus: 0.5\nshm_size: 64kb\nsysctls: {net.core.somaxconn: 1024}\ntmpfs: /run\ntty: true\n"
        "ulimits: {nofile: 1024, core: {soft: 0, hard: -1}}\n"
    ).runtime
    assert runtime.extra_hosts == (("a", "1.2.3.4"), ("b", "::1"))
    assert (runtime.labels, runtime.sysctls) == ((("a", "b"),), (("net.core.somaxconn", "1024"),))
    assert (runtime.mem_limit, runtime.shm_size, runtime.cpus, runtime.tty) == (
        512 << 20,
        64 << 10,
        0.5,
        True,
    )
    assert runtime.tmpfs == ("/run",)
    assert runtime.ulimits == (("nofile", 1024, 1024), ("core", 0, -1))


def test_targets() -> None:
    assert workload("target: deploy/web/app").target == Target("web", "deployment", "app")
    assert workload("target: web").target == Target("web")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: {target: deployment/web}\n  b: {target: deploy/web}",
            "devcluster.yaml:3:15: workloads.b.target: deployment/web is already the target of a in line 2",
        ),
        (
            "one: {target: deployment/pair/pair}\n  two: {imgae: x, target: deployment/pair/sidecar}",
            "devcluster.yaml:3:27: workloads.two.target: deployment/pair is already the target of one",
        ),
        (
            "a: {target: web}\n  web: ",
            "devcluster.yaml:3:3: workloads.web: web is already the target of a in line 2",
        ),
        (
            "a: &a {target: web}\n  b: *a",
            "devcluster.yaml:3:3: workloads.b.target: web is already the target of a",
        ),
    ],
)
def test_two_workloads_have_two_targets(text: str, message: str) -> None:
    assert message in problems(f"workloads:\n  {text}\n")


def test_two_workloads_have_folders_of_their_own() -> None:
    assert "  two: {volumes: {e: {path: x}}}\n" in problems(
        "workloads:\n  one: {volumes: {d: {path: x}}}\n  two: {volumes: {e: {path: x}}}\n"
    )
    read("workloads: {a: {volumes: {d: {path: x, mode: off}}}, b: {volumes: {d: {path: x}}}}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{volumes: {d: {path: '${P}'}, e: {path: '${P}'}}}",
            "w.volumes.e.path: shares the folder ${P} with workloads.w.volumes.d.path",
        ),
        (
            "{volumes: {d: {path: '${P}'}, e: {path: './${P}/x'}}}",
            "w.volumes.e.path: shares the folder ${P} with workloads.w.volumes.d.path",
        ),
        (
            "{volumes: {d: {path: './${P}/x'}, e: {path: '${P}'}}}",
            "w.volumes.e.path: shares the folder ${P} with workloads.w.volumes.d.path",
        ),
        ("{env_file: '${P}'}", "w.env_file: ${P} does not exist"),
        ("{env_file: [{path: '${P}'}]}", "w.env_file[0]: ${P} does not exist"),
        ("{env_file: '${BROKEN}.env'}", "w.env_file: ${BROKEN}.env: line 1: expected NAME=value"),
        ("{security_opt: ['seccomp=$P']}", "w.security_opt[0]: seccomp=$P can't be read"),
        ("{security_opt: ['seccomp=${LOCAL}.env']}", "w.security_opt[0]: seccomp=${LOCAL}.env is not JSON"),
        ("{mounts: ['a:/$P', 'b:/$P']}", "w.mounts[1]: b:/$P is mounted twice"),
        (
            "{mounts: [{type: tmpfs, target: /$P}, {type: tmpfs, target: /$P}]}",
            "w.mounts[1]: /$P is mounted twice",
        ),
        ("{mounts: ['a:/hush'], tmpfs: '/$P:size=1m'}", "w.tmpfs: /$P:size=1m is mounted twice"),
        ("{target: '${P}'}, v: {target: '${P}'}", "v.target: ${P} is already the target of w in line 1"),
        (
            "{ports: ['${N}:1', '${N}:2']}",
            "w.ports[1]: ports[0] already uses port ${N}:2 of the laptop",
        ),
        (
            "{ports: [{target: 1, published: $N}, {target: 2, published: $N}]}",
            "w.ports[1]: ports[0] already uses port $N of the laptop",
        ),
        ("{volumes: {a: {mode: '$LATER'}}}", "w.volumes.a.mode: $LATER is not built yet"),
    ],
)
def test_what_a_variable_holds_is_not_told(text: str, message: str) -> None:
    told = problems(
        f"workloads: {{w: {text}}}", P="hush", N="28123", BROKEN="broken", LOCAL="local", LATER="overlay"
    )
    assert message in told
    for value in ("hush", "28123", "broken", "local.env", "intercept"):
        assert value not in told.replace("a:/hush", "")


def test_of_an_env_file_that_a_variable_names_the_place_is_as_written(tmp_path: Path) -> None:
    (tmp_path / "devcluster.yaml").write_text("workloads: {w: {env_file: '${P}'}}\n")
    (tmp_path / "hush").write_text("A=${NO}\n")
    told: list[str] = []
    load_project(file=Path("devcluster.yaml"), cwd=tmp_path, environ={"P": "hush"}, warn=told.append)
    assert told == ["${P}:1:1: warning: the variable NO is not set, so it is empty"]


def test_ports_that_do_not_collide() -> None:
    text = "['80:80', '80:80/udp', '127.0.0.2:80:81', '80-90:82', '[::]:80:80', '0.0.0.0:81:1', '81']"
    assert len(workload(f"ports: {text}").ports or ()) == 7


@pytest.mark.parametrize("name", ["Web", "w_x", "w.", "a" * 60 + "_b"])
def test_a_local_name_that_is_no_target_needs_one(name: str) -> None:
    for value in ("{}", "", "{imgae: x}"):
        text = problems(f"workloads:\n  {name}: {value}\n")
        assert f"devcluster.yaml:2:3: workloads.{name}: expected " in text
    if name != "w.":
        assert "or `target: deployment/NAME` below it, got " in problems(f"workloads: {{{name}: }}")
        assert read(f"workloads: {{{name}: {{target: web}}}}").workloads[0].target == Target("web")


def test_what_only_the_cluster_can_compare_is_taken() -> None:
    assert len(read("workloads: {web: , b: {target: deployment/web}, x-c: {target: web}}").workloads) == 2


def test_what_is_below_x_is_somebody_elses() -> None:
    project = read(
        "x-a: !mine {a: b, [c]: d, <<: e}\n"
        "x-b: &b {image: a, x-c: !mine c}\n"
        "agent: {x-d: [!mine d]}\n"
        "workloads: {w: {<<: *b, x-e: {f: !mine [g]}}, x-h: !mine }\n"
    )
    assert [item.image for item in project.workloads] == ["a"]
    taken = "x-a: &a !mine {image: a}\nworkloads: {w: *a}"
    assert "devcluster.yaml:1:6: workloads.w: custom YAML tags" in problems(taken)
    assert "x-a.b: written twice" in problems("x-a: {b: 1, b: 2}\nworkloads: {w: }")


def test_a_key_written_twice_is_told_once_where_it_stands() -> None:
    for use in ("*a", "{<<: *a}", "*a, v: *a"):
        text = problems(
            f"x-a: &a {{image: a, image: b, user: a, user: b}}\nworkloads: {{w: {use}, x: {{target: y}}}}"
        )
        assert [line for line in text.split("\n") if line.startswith("devcluster")][:2] == [
            "devcluster.yaml:1:20: x-a.image: written twice, first in line 1",
            "devcluster.yaml:1:39: x-a.user: written twice, first in line 1",
        ]
        assert text.count("written twice") == 2


def test_anchors_and_merge_keys() -> None:
    project = read(
        "x-both: &both {image: a, user: '1', environment: {T: hush}}\n"
        "workloads:\n  one: {<<: *both, user: '2'}\n  two: *both\n"
    )
    assert [(item.image, item.user) for item in project.workloads] == [("a", "2"), ("a", "1")]
    wrong = "x-both: &both {environment: {T: hush, B: [x]}}\nworkloads:\n  one: {<<: *both}\n"
    assert "hush" not in problems(wrong)


@pytest.mark.parametrize(("folder", "name"), [("My Shop", "myshop"), ("_a.b", "ab"), ("---", "devcluster")])
def test_the_folder_gives_the_name_as_in_compose(folder: str, name: str) -> None:
    assert normalise_name(folder) == name


def test_the_file_is_found_in_a_parent(tmp_path: Path) -> None:
    (tmp_path / "devcluster.yaml").write_text("name: '${N}'\nworkloads: {w: {env_file: e}}\n")
    (tmp_path / ".env").write_text("N=from-dotenv\n")
    (tmp_path / "e").write_text("A=1\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_file(below) == tmp_path / "devcluster.yaml"
    project = load_project(file=Path("../../devcluster.yaml"), cwd=below, environ={})
    assert (project.name, project.file) == ("from-dotenv", tmp_path / "devcluster.yaml")
    assert project.workloads[0].environment == (("A", "1"),)
    (tmp_path / "devcluster.yaml").write_text("workloads: 1")
    with pytest.raises(ConfigurationError, match=r"^\.\./\.\./devcluster\.yaml:1:12: "):
        load_project(file=Path("../../devcluster.yaml"), cwd=below, environ={})


def test_a_file_is_one_project_by_whatever_way_it_is_reached(tmp_path: Path) -> None:
    shop, other = tmp_path / "shop", tmp_path / "other"
    (shop / "sub").mkdir(parents=True)
    other.mkdir()
    (shop / "devcluster.yaml").write_text("workloads: {w: {mounts: ['./a:/a', '../b:/b']}}\n")
    (tmp_path / "link").symlink_to(shop)
    (other / "deep").symlink_to(shop / "sub")
    there = load_project(file=Path("devcluster.yaml"), cwd=shop, environ={})
    assert (there.name, there.file) == ("shop", shop / "devcluster.yaml")
    for cwd, file in (
        (shop / "sub", "../devcluster.yaml"),
        (shop, "sub/../devcluster.yaml"),
        (tmp_path, "link/devcluster.yaml"),
        (tmp_path / "link" / "sub", "../devcluster.yaml"),
        (other, "deep/../devcluster.yaml"),  # for the system `..` is the real folder's parent
        (other, str(shop / "." / "devcluster.yaml")),
    ):
        assert load_project(file=Path(file), cwd=cwd, environ={}) == there, file
    (other / "devcluster.yaml").symlink_to(shop / "devcluster.yaml")
    assert load_project(file=Path("devcluster.yaml"), cwd=other, environ={}).name == "other"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"can't be read: No such file"):
        load_project(file=Path("x.yaml"), cwd=tmp_path, environ={})


WORDS = [
    "workloads",
    "w",
    "mode",
    "environment",
    "ports",
    "volumes",
    "env_file",
    "x-a",
    "<<",
    "${A",
    "80:80",
    "~",
]
PIECES = st.sampled_from([*WORDS, ": ", ":\n  ", "- ", "&a ", "*a", "!t ", *"{}[]'\"|>,\n \t"])


@settings(max_examples=150)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
@example("workloads: {w: {environment: {'': x}}}")
@example("workloads: {w: {ports: ['\uff19\uff19']}}")
def test_no_text_crashes(text: str) -> None:
    with contextlib.suppress(ConfigurationError):
        read(text, A="1")


@settings(max_examples=40)
@given(st.text(max_size=30))
def test_no_value_crashes(value: str) -> None:
    keys = (
        "image",
        "ports",
        "mounts",
        "command",
        "healthcheck",
        "mem_limit",
        "cpus",
        "target",
        "env_file",
        "tmpfs",
    )
    quoted = value.encode("unicode_escape").decode().replace('"', '\\"')
    for key in keys:
        for form in (f'"{quoted}"', f'["{quoted}"]'):
            with contextlib.suppress(ConfigurationError):
                workload(f"{key}: {form}")
