"""WordPress, replaced and put back: the project's model case, from the cluster's, the browser's and the
container's own side.

The module's `up` finds port 8080 of the laptop taken, and its host process has a resolver that knows a name
of which the cluster has never heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import socket
import urllib.error
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from devcluster.sandbox.example_objects import BLOG_NAME
from tests.scenarios.browser import Browser, small_png
from tests.scenarios.laptop_names import name_server, with_own_resolver
from tests.scenarios.wordpress_world import Json, WordPress, open_wordpress

pytestmark = pytest.mark.asyncio(loop_scope="module")

TITLE = "<title>User&#039;s Blog!</title>"
ONLY_HERE = "wiki.only-on-this-laptop.example"
FILE, FILE_TEXT = "wp-includes/css/buttons.css", "WordPress-style Buttons"  # a page takes a third of a second
SIGNALLED = "caught SIGWINCH, shutting down gracefully"

_GETENT = r"""
$found = [];
foreach (array_slice($argv, 1) as $name) {
  $words = preg_split('/\s+/', trim((string) shell_exec('getent ahostsv4 ' . escapeshellarg($name))));
  $found[$name] = $words[0];
}
echo json_encode($found), "\n";
"""

_VALUES = r"""
$found = [];
foreach (explode("\0", file_get_contents('/proc/1/environ')) as $pair) {
  [$name, $value] = explode('=', $pair, 2) + [1 => ''];
  if (in_array($name, $argv, true)) $found[$name] = $value;
  if ($name === 'WORDPRESS_DATABASE_PASSWORD') $found[$name] = hash('sha256', $value);
}
echo json_encode($found), "\n";
"""

_DB_HOST = r"""
preg_match("/^define\( 'DB_HOST', '(.*)' \);$/m", file_get_contents($argv[1]), $found);
echo json_encode($found[1]), "\n";
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def wordpress(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WordPress]:
    """The example, deployed; nothing of ours in it yet."""
    async with open_wordpress(kubeconfig, tmp_path_factory.mktemp("wordpress")) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def origin(wordpress: WordPress) -> Json:
    """What stood there before the first `up`."""
    return {
        "template": await wordpress.template("wordpress"),
        "history": await wordpress.history(),
        "claim": await wordpress.claim(),
    }


@pytest.fixture(scope="module")
def laptop_knows() -> Iterator[list[str]]:
    if os.geteuid() != 0:
        yield []
        return
    with name_server({ONLY_HERE: "192.0.2.53"}) as asked:
        yield asked


@pytest_asyncio.fixture(loop_scope="module")
async def attached(wordpress: WordPress, origin: Json, laptop_knows: list[str]) -> WordPress:
    """Answered here; the first test that asks brings it up, the others find it so."""
    if os.geteuid() == 0:
        wordpress.before = with_own_resolver(wordpress.folder)
    if wordpress.containers("wordpress", "netns"):
        await wordpress.devcluster("up", "-d")
    else:
        async with _taken(8080):
            await wordpress.devcluster("up", "-d")
    return wordpress


async def test_every_request_from_the_cluster_is_answered_here(attached: WordPress) -> None:
    short = await attached.hundred("http://wordpress/", TITLE)
    assert (short.seen, short.here, short.there) == ({"200": 100}, 100, 0)
    assert short.callers_here == {short.caller}  # the asking pod's own address

    full = await attached.hundred(
        f"http://wordpress.{attached.namespace}.svc.cluster.local/", TITLE, count=20
    )
    assert (full.seen, full.here, full.there) == ({"200": 20}, 20, 0)


async def test_every_request_by_tls_is_answered_here(attached: WordPress) -> None:
    for path, text, count in ((FILE, FILE_TEXT, 100), ("", TITLE, 5)):
        asked = await attached.hundred(f"https://wordpress/{path}", text, count)
        assert (asked.seen, asked.here, asked.there) == ({"200": count}, count, 0)
        assert asked.callers_here == {asked.caller}


async def test_a_browser_stays_at_its_address(attached: WordPress) -> None:
    port = await attached.port()
    assert port != 8080
    browser = Browser(f"http://localhost:{port}")
    assert TITLE in browser.get("/")
    assert "Dashboard" in browser.log_in("user", attached.password)

    image = small_png()
    url = browser.upload(f"pixel-{secrets.token_hex(4)}.png", image)
    assert url.startswith(f"http://localhost:{port}/wp-content/uploads/")
    assert browser.get_bytes(url) == image
    await _until_claim(attached, _in_claim(url), hashlib.sha256(image).hexdigest())


async def test_a_plugin_that_is_edited_in_the_pod_is_served_here(attached: WordPress) -> None:
    browser = Browser(f"http://localhost:{await attached.port()}")
    path = "wp-content/plugins/probe.php"
    for word in ("first", "second"):
        await attached.write_claim(f"wordpress/{path}", f"<?php echo 'the {word} one';")
        async with asyncio.timeout(15):
            while word not in _served(browser, f"/{path}"):
                await asyncio.sleep(0.1)


async def test_up_again_changes_nothing(attached: WordPress) -> None:
    port, began = await attached.port(), _started(attached)
    done = await attached.devcluster("up", "-d", "-o", "json")  # port 8080 may be free by now
    assert [row["outcome"] for row in done.json["workloads"]] == ["unchanged"]
    assert (await attached.port(), _started(attached)) == (port, began)


async def test_names_are_what_the_pod_is_told(attached: WordPress) -> None:
    names = ["wordpress-mariadb", f"wordpress-mariadb.{attached.namespace}", "kubernetes.default.svc"]
    names += ["kubernetes.default.svc.cluster.local", "wordpress"]
    here = attached.local_php(_GETENT, *names)
    assert here == await attached.php(_GETENT, *names)
    assert all(here.values())
    done = attached.in_local("wordpress", "getent", "hosts", "no-such-service")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="a resolver of one's own needs port 53 and a mount namespace")
async def test_a_name_that_only_the_laptop_knows(attached: WordPress, laptop_knows: list[str]) -> None:
    assert attached.local_php(_GETENT, ONLY_HERE) == {ONLY_HERE: "192.0.2.53"}
    assert ONLY_HERE in laptop_knows
    assert await attached.php(_GETENT, ONLY_HERE) == {ONLY_HERE: ""}
    assert not [name for name in laptop_knows if name.endswith("cluster.local")]


async def test_the_database_by_the_environments_own_values(attached: WordPress) -> None:
    script = (
        'MYSQL_PWD="$WORDPRESS_DATABASE_PASSWORD" exec mariadb --no-defaults --batch --skip-column-names'
        ' -h "$MARIADB_HOST" -P "$MARIADB_PORT_NUMBER" -u "$WORDPRESS_DATABASE_USER"'
        ' "$WORDPRESS_DATABASE_NAME" -e "select option_value from wp_options where option_name=\'blogname\'"'
    )
    done = attached.in_local("wordpress", "sh", "-c", script)
    assert done.stdout.strip() == "User&#039;s Blog!", done.stderr


async def test_where_nobody_listens_connect_fails(attached: WordPress) -> None:
    pod = await attached.cluster.get("pod", "wordpress-mariadb-0", attached.namespace)
    for host in (pod["status"]["podIP"], "wordpress-mariadb"):
        done = attached.in_local("wordpress", "bash", "-c", f"exec 3<>/dev/tcp/{host}/3307")
        assert done.returncode == 1
        assert "Connection refused" in done.stderr


async def test_environment_and_files_name_the_namespace(attached: WordPress, origin: Json) -> None:
    host = f"wordpress-mariadb.{attached.namespace}"
    password = await attached.secret("wordpress-mariadb", "mariadb-password")
    names = ["MARIADB_HOST", "MARIADB_PORT_NUMBER", "WORDPRESS_DATABASE_NAME", "WORDPRESS_DATABASE_USER"]
    assert attached.local_php(_VALUES, *names, "WORDPRESS_BLOG_NAME", "WP_DEBUG") == {
        "MARIADB_HOST": host,
        "MARIADB_PORT_NUMBER": "3306",
        "WORDPRESS_DATABASE_NAME": "bitnami_wordpress",
        "WORDPRESS_DATABASE_USER": "bn_wordpress",
        "WORDPRESS_DATABASE_PASSWORD": hashlib.sha256(password.encode()).hexdigest(),
        "WORDPRESS_BLOG_NAME": BLOG_NAME,
        "WP_DEBUG": "1",
    }
    assert attached.local_php(_DB_HOST, "/bitnami/wordpress/wp-config.php") == f"{host}:3306"
    assert _of_origin(await attached.claim(), origin) == origin["claim"]
    rewrites = (await attached.status("wordpress"))["rewrites"]
    assert {(one["where"], one["to"]) for one in rewrites} == {
        ("MARIADB_HOST", host),
        ("wordpress-data:wp-config.php", host),
    }


async def test_leave_and_down_give_everything_back(attached: WordPress, origin: Json) -> None:
    browser = Browser(f"http://localhost:{await attached.port()}")
    browser.log_in("user", attached.password)
    title = f"Written here {secrets.token_hex(4)}"
    number = browser.write_post(title, "And read there.")
    image = small_png()
    picture = urllib.parse.urlsplit(browser.upload(f"last-{secrets.token_hex(4)}.png", image)).path
    assert SIGNALLED in await attached.original_log()  # the agent stopped the original as its image says

    await attached.devcluster("leave")
    assert attached.local_log("wordpress").count(SIGNALLED) == 1
    digest = hashlib.sha256(image).hexdigest()
    assert (await attached.claim())[_in_claim(picture)][0] == digest  # nothing of it was under way
    await _answered_there(attached, "http", 100)
    assert _of_origin(await attached.claim(), origin) == origin["claim"]

    await attached.devcluster("up", "-d")
    assert (await attached.hundred("http://wordpress/", TITLE, count=5)).here == 5
    await attached.devcluster("down", "--volumes")
    await _answered_there(attached, "http", 100)
    await _answered_there(attached, "https", 20)
    asked = await attached.hundred(f"http://wordpress/?p={number}", title, count=1)
    assert asked.seen == {"200": 1}  # the same database
    shown = await attached.hundred(f"http://wordpress{picture}", "PNG", count=1)
    assert shown.seen == {"200": 1}  # and the same files

    assert await attached.template("wordpress") == origin["template"]
    assert await attached.history() == origin["history"]
    claim = await attached.claim()
    assert _of_origin(claim, origin) == origin["claim"]
    assert claim[_in_claim(picture)][0] == digest
    assert await attached.cluster_leftovers() == []
    assert attached.docker_leftovers() == []


async def _answered_there(world: WordPress, scheme: str, number: int) -> None:
    for path, text, count in ((FILE, FILE_TEXT, number), ("", TITLE, 5)):
        asked = await world.hundred(f"{scheme}://wordpress/{path}", text, count)
        assert (asked.seen, asked.here, asked.there) == ({"200": count}, 0, count)


def _in_claim(address: str) -> str:
    """Where a file of the site's own lies in the claim."""
    return "wordpress" + urllib.parse.urlsplit(address).path


def _of_origin(claim: Json, origin: Json) -> Json:
    """Of the claim what was there before."""
    return {path: found for path, found in claim.items() if path in origin["claim"]}


async def _until_claim(world: WordPress, path: str, digest: str) -> None:
    async with asyncio.timeout(30):  # each look starts a pod
        while (await world.claim()).get(path, [""])[0] != digest:
            await asyncio.sleep(0.1)


def _served(browser: Browser, path: str) -> str:
    try:
        return browser.get(path)
    except urllib.error.HTTPError as error:  # it is not here yet
        return str(error)


def _started(world: WordPress) -> str:
    """When the local container's first process began."""
    return world.in_local("wordpress", "stat", "-c", "%Y", "/proc/1").stdout


@contextlib.asynccontextmanager
async def _taken(port: int) -> AsyncIterator[None]:
    """We listen on *port* of the laptop, as soon as no other test's container does."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        async with asyncio.timeout(180):
            while not _bound(listener, port):
                await asyncio.sleep(0.05)
        listener.listen()
        yield


def _bound(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
