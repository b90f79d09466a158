"""The rewriting alone: WordPress where only namespaced names are known.

Docker's own DNS, or the pod's search list, would find ``wordpress-mariadb`` whatever devcluster writes.  So
the local container gets a /etc/resolv.conf without the namespace's own domain: there the short name means
nothing, and ``wordpress-mariadb.NAMESPACE`` is the only way to the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios.browser import Browser
from tests.scenarios.wordpress_world import Json, WordPress, open_wordpress

pytestmark = pytest.mark.asyncio(loop_scope="module")

TITLE = "<title>User&#039;s Blog!</title>"
_WITH = "volumes: {wordpress-data: {rewrite: [wp-config.php]}}"
_WITHOUT = "rewrite: {environment: false}\n    environment: {WORDPRESS_DB_TIMEOUT: 5}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wordpress(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WordPress]:
    """The example, deployed; and the other list of domains, for the file to mount."""
    async with open_wordpress(kubeconfig, tmp_path_factory.mktemp("wordpress")) as world:
        text = str(await world.php("echo json_encode(file_get_contents('/etc/resolv.conf'));"))
        own = f"search {world.namespace}.svc.cluster.local "
        assert own in text
        (world.folder / "resolv.conf").write_text(text.replace(own, "search "))
        yield world


def _write(world: WordPress, settings: str) -> None:
    mounts = 'mounts: ["./resolv.conf:/etc/resolv.conf:ro"]'
    head = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  wordpress:\n"
    world.write(f"{head}    {mounts}\n    {settings}\n")


@pytest.mark.slow
async def test_rewriting_is_enough(wordpress: WordPress) -> None:
    _write(wordpress, _WITH)
    await wordpress.devcluster("up", "-d")
    assert wordpress.in_local("wordpress", "getent", "hosts", "wordpress-mariadb").returncode == 2
    here = wordpress.in_local("wordpress", "getent", "hosts", f"wordpress-mariadb.{wordpress.namespace}")
    assert here.returncode == 0

    asked = await wordpress.hundred("http://wordpress/", TITLE, count=20)
    assert (asked.seen, asked.here, asked.there) == ({"200": 20}, 20, 0)
    port = await wordpress.port()
    assert TITLE in Browser(f"http://localhost:{port}").get("/")
    await wordpress.devcluster("down", "--volumes")


@pytest.mark.slow
async def test_without_rewriting_the_database_is_not_found(wordpress: WordPress) -> None:
    before: Json = await wordpress.template("wordpress")
    _write(wordpress, _WITHOUT)
    done = await wordpress.devcluster("up", "-d", code=1)
    assert "database wordpress-mariadb:3306 can't be reached: gave up after 5 s" in done.stderr

    asked = await wordpress.hundred("http://wordpress/", TITLE, count=20)
    assert (asked.seen, asked.here, asked.there) == ({"200": 20}, 0, 20)
    await wordpress.devcluster("down", "--volumes")
    assert await wordpress.template("wordpress") == before
    assert wordpress.docker_leftovers() == []


@pytest.mark.slow
async def test_the_example_goes_with_its_data(wordpress: WordPress) -> None:
    assert (await wordpress.example("up")).stdout.startswith("http://wordpress.")
    await wordpress.example("down")
    assert await wordpress.cluster.find("namespace", wordpress.namespace) is None
    await wordpress.example("down")  # nothing there is no error
