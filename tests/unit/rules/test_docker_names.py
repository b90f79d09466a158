"""Names that Docker takes, that differ where their objects do, and that people can read."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from devcluster.config.read.keys import LOCAL_NAME
from devcluster.rules.container.docker_names import (
    Role,
    container_name,
    labels,
    mount_name,
    network_name,
    project_id,
    project_name,
    volume_name,
)

TEXT = st.text(min_size=1, max_size=30)


def test_names_as_people_see_them() -> None:
    project = project_id("kind-dev", "wordpress", "shop")
    assert re.fullmatch("shop-[0-9a-f]{6}", project)
    assert network_name("shop-a1b2c3") == "devcluster-shop-a1b2c3"
    assert container_name("shop-a1b2c3", "web") == "devcluster-shop-a1b2c3-web"
    assert container_name("shop-a1b2c3", "web", "netns") == "devcluster-shop-a1b2c3-web__netns"
    assert volume_name("shop-a1b2c3", "web", "wp-data") == "devcluster-shop-a1b2c3-web__wp-data"
    assert mount_name("shop-a1b2c3", "web", "wp-data") == "devcluster-shop-a1b2c3-web__mounts__wp-data"


def test_the_project_differs_by_cluster_and_namespace() -> None:
    ids = {project_id(context, space, "shop") for context in ("a", "b") for space in ("x", "y")}
    assert len(ids) == 4
    assert project_id("a", "bc", "x") != project_id("ab", "c", "x")


def test_an_id_tells_whose_it_is() -> None:
    project = project_id("kind-dev", "wordpress", "my-shop_2")
    assert project_name(project, "kind-dev", "wordpress") == "my-shop_2"
    assert project_name(project, "kind-dev", "other") is None
    assert project_name("nonsense", "kind-dev", "wordpress") is None


def test_labels() -> None:
    assert labels("shop-a1b2c3", "network") == {
        "devcluster.project": "shop-a1b2c3",
        "devcluster.role": "network",
    }
    assert labels("shop-a1b2c3", "netns", "web")["devcluster.workload"] == "web"


def test_no_name_is_two_things_at_once() -> None:
    project = "shop-a1b2c3"
    keys = ("api", "api-gateway", "api_gateway", "api.gateway", "api__gateway", "API", "app", "app-cache")
    roles: tuple[Role, ...] = ("workload", "netns", "gateway")
    containers = [container_name(project, key, role) for key in keys for role in roles]
    assert len(set(containers)) == len(containers)
    sources = ("data", "cache-data", "cache__data", "mounts", "mounts__data", "/data", "/mounts__data")
    volumes = [name(project, key, it) for name in (volume_name, mount_name) for key in keys for it in sources]
    assert len(set(volumes)) == len(volumes)


@given(
    st.from_regex(LOCAL_NAME, fullmatch=True),
    st.from_regex(LOCAL_NAME, fullmatch=True),
    st.text(min_size=1, max_size=300),
)
def test_the_longest_name_is_still_a_folder(key: str, other: str, volume: str) -> None:
    project = project_id("c", "n", "p" * 63)
    for name in (volume_name(project, key, volume), mount_name(project, key, volume)):
        assert re.fullmatch(r"[a-z0-9][a-z0-9_.-]+", name)
        assert len(name) <= 255
    assert container_name(project, key, "gateway") != container_name(project, other)
    assert volume_name(project, key, volume) != mount_name(project, other, volume)


@given(TEXT, TEXT)
def test_docker_takes_any_name_and_two_paths_never_meet(one: str, other: str) -> None:
    first, second = volume_name("p-a1b2c3", "k", one), volume_name("p-a1b2c3", "k", other)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", first)
    assert (first == second) == (one == other)
