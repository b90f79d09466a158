"""The environment of a process on the laptop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from devcluster.config.model import Rewrite, Target, Workload
from devcluster.rules.container.process_environment import Surroundings, laptop_environment, service_sights
from devcluster.rules.container.tunnel_rewriting import OpenTunnel
from devcluster.rules.names.service_names import ServiceSight

AROUND = Surroundings(
    (ServiceSight("db", ("10.96.0.5",), (3306,)),),
    "shop",
    ("cluster.local",),
    (OpenTunnel("db", 3306, 3306),),
    Path("/state/mounts/web"),
    ("/data", "/etc/web"),
)
WEB = Workload("web", Target("web"), run="host")


def environment(workload: Workload, **pod: str) -> dict[str, str]:
    return dict(laptop_environment(tuple(pod.items()), workload, AROUND).variables)


def test_places_of_the_machine_are_the_laptops() -> None:
    made = environment(
        WEB, PATH="/app/bin", HOME="/app", JAVA_HOME="/opt/java", MODE="fast", HOSTNAME="web-1"
    )
    assert made == {
        "MODE": "fast",
        "HOSTNAME": "web-1",
        "DEVCLUSTER_ROOT": "/state/mounts/web",
        "DEVCLUSTER_MOUNTS": "/data:/etc/web",
    }


def test_without_volumes_there_is_no_folder() -> None:
    made = laptop_environment((("A", "1"),), WEB, replace(AROUND, mounts=()))
    assert made.variables == (("A", "1"),)


def test_the_file_is_over_all_and_stays_as_it_is() -> None:
    workload = replace(
        WEB, environment=(("PATH", "/mine"), ("DB_HOST", "db")), env_exclude=("LATE_*",), rewrite=Rewrite()
    )
    made = environment(workload, DB_HOST="db", LATE_A="x", CACHE_HOST="db")
    assert (made["PATH"], made["DB_HOST"], made["CACHE_HOST"]) == ("/mine", "db", "127.0.0.1")
    assert "LATE_A" not in made


def test_rewriting_can_be_turned_off_or_limited() -> None:
    off = replace(WEB, rewrite=Rewrite(False))
    assert environment(off, DB_HOST="db")["DB_HOST"] == "db"
    none = replace(WEB, rewrite=Rewrite(services=()))
    for way in ("db", "db.shop"):
        assert environment(none, DB_HOST=way)["DB_HOST"] == way


def test_services_as_the_api_server_has_them() -> None:
    items = (
        {"metadata": {"name": "a"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}},
        {"metadata": {"name": "b"}, "spec": {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "fd00::1"]}},
        {"metadata": {"name": "c"}, "spec": {"type": "ExternalName"}},
    )
    assert service_sights(items) == (
        ServiceSight("a", (), (80,)),
        ServiceSight("b", ("10.0.0.1", "fd00::1"), ()),
        ServiceSight("c"),
    )
