"""Names of Services where somebody else knows the short one: a token's issuer, a certificate, a Host header,
a list of those that need no proxy.  Each application here fails if its name changes."""

from __future__ import annotations

import json

import pytest

from tests.scenarios.certificate import self_signed
from tests.scenarios.python_world import serve
from tests.scenarios.world import World

_ISSUER = "http://keycloak:8080/realms/x"
_KEYCLOAK = f"""
def page(request):
    known = request.path == "/realms/x/.well-known/openid-configuration"
    return (200, {{"issuer": "{_ISSUER}"}}) if known else (404, {{}})
serve(8080)
"""
# What an OIDC library does first: the issuer that is found must be the one that was asked.
_CLIENT = """
import urllib.request
issuer = os.environ["OIDC_ISSUER"]
found = json.load(urllib.request.urlopen(issuer + "/.well-known/openid-configuration", timeout=20))["issuer"]
if found != issuer:
    sys.exit(f"issuer {found} is not {issuer}")
serve(8080)
"""


def _kept(row: dict[str, object]) -> dict[str, tuple[str, str]]:
    rewrites = row["rewrites"]
    assert isinstance(rewrites, list)
    return {one["where"]: (one["to"], one["kept"]) for one in rewrites}


async def test_an_issuer_stays_and_a_host_beside_it_does_not(world: World, python: str) -> None:
    await serve(world, "keycloak", python, _KEYCLOAK)
    env = {"OIDC_ISSUER": _ISSUER, "KEYCLOAK_HOST": "keycloak", "JWT_AUD": "web", "DB_PASSWORD": "keycloak"}
    before = await serve(world, "web", python, _CLIENT, env=env)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n")
    await world.devcluster("up", "-d")

    here = json.loads((await world.devcluster("env", "web", "--format", "json")).stdout)
    assert here | env | {"KEYCLOAK_HOST": f"keycloak.{world.namespace}"} == here
    kept = _kept(await world.status())
    assert kept["KEYCLOAK_HOST"] == (f"keycloak.{world.namespace}", "")
    assert kept["OIDC_ISSUER"] == kept["JWT_AUD"] == ("", "it is compared, not only dialled")
    assert "DB_PASSWORD" not in kept
    shown = (await world.devcluster("status")).stdout
    assert "web: OIDC_ISSUER: keycloak stays: it is compared, not only dialled" in shown

    await world.devcluster("down")
    assert await world.template() == before["spec"]["template"]


_TLS_SERVER = """
import ssl
server = http.server.ThreadingHTTPServer(("", 8443), Page)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
# One name in a URL, one in a variable whose neighbour asks for TLS.
_TLS_CLIENT = """
import os, socket, ssl, urllib.request
context = ssl.create_default_context(cafile="/tls/tls.crt")
urllib.request.urlopen(os.environ["API_URL"], timeout=5, context=context)
host = os.environ["BACKEND_HOST"]
with socket.create_connection((host, 8443), 5) as plain, context.wrap_socket(plain, server_hostname=host):
    pass
"""


async def test_a_name_that_a_certificate_holds_stays(world: World, python: str) -> None:
    key, certificate = self_signed("api", f"api.{world.namespace}.svc")
    files = {"tls.key": key, "tls.crt": certificate}
    secret = {"metadata": {"name": "tls"}, "stringData": files}
    await world.cluster.create("secret", secret, world.namespace)
    mounted: dict[str, object] = {"volumeMounts": [{"name": "tls", "mountPath": "/tls"}]}
    volumes = {"volumes": [{"name": "tls", "secret": {"secretName": "tls"}}]}
    await serve(world, "api", python, _TLS_SERVER, port=8443, container=mounted, pod=volumes)
    probe = {"exec": {"command": ["python3", "-c", _TLS_CLIENT]}, "timeoutSeconds": 10, "periodSeconds": 1}
    env = {
        "API_URL": "https://api:8443",
        "BACKEND_HOST": "api",
        "BACKEND_SSL": "true",
        "CACHE_HOST": "api",
    }
    mounted |= {"readinessProbe": probe}
    await serve(world, "web", python, "serve(8080)", env=env, container=mounted, pod=volumes)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n")
    await world.devcluster("up", "-d")

    done = await world.devcluster("exec", "web", "--", "python3", "-c", _TLS_CLIENT)
    assert done.stderr == ""
    kept = _kept(await world.status())
    assert kept["API_URL"] == kept["BACKEND_HOST"] == ("", "a certificate is checked against it")
    assert kept["CACHE_HOST"] == (f"api.{world.namespace}", "")


_PICKY = """
def page(request):
    open_to_all = request.path == "/any"
    return (200 if open_to_all or request.headers["host"] in ("api", "api:8080") else 400), {}
serve(8080)
"""
_PROXY = """
def page(request):
    print("asked for", request.path, file=sys.stderr)
    return 502, {}
serve(3128)
"""
_VISITOR = """
import os, urllib.request
print(urllib.request.urlopen(os.environ["API_URL"], timeout=10).status)
host = os.environ["API_HOST"]
print(urllib.request.urlopen(f"http://{host}:8080/any", timeout=10).status, host)
"""


@pytest.mark.slow
async def test_a_host_that_needs_no_proxy_needs_none_by_its_new_name(world: World, python: str) -> None:
    await serve(world, "api", python, _PICKY)
    await serve(world, "proxy", python, _PROXY, port=3128)
    env = {
        "HTTP_PROXY": "http://proxy:3128",
        "http_proxy": "http://proxy:3128",
        "NO_PROXY": "localhost,api,.svc,.cluster.local",
        "API_URL": "http://api:8080",
        "API_HOST": "api",
    }
    await serve(world, "web", python, "serve(8080)", env=env)
    world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: {{}}\n")
    await world.devcluster("up", "-d")
    done = await world.devcluster("exec", "web", "--", "python3", "-c", _VISITOR)
    assert done.stdout.split() == ["200", "200", f"api.{world.namespace}"]
    listing = await world.cluster.list("pod", world.namespace, selector="app=proxy")
    (pod,) = [item["metadata"]["name"] for item in listing.items]
    assert "asked for" not in await world.cluster.pod_logs(pod, world.namespace, container="proxy", lines=50)


_STUBBORN = """
if os.environ["API_HOST"] != "api":
    sys.exit("no such peer")
serve(8080)
"""


@pytest.mark.slow
async def test_a_failure_names_what_was_rewritten_and_the_way_back(world: World, python: str) -> None:
    await serve(world, "api", python, "serve(8080)")
    await serve(world, "web", python, _STUBBORN, env={"API_HOST": "api"})
    head = f"name: shop\nnamespace: {world.namespace}\nworkloads:\n  web: "
    world.write(head + "{}\n")
    done = await world.devcluster("up", "-d", code=1)
    assert f"API_HOST (api -> api.{world.namespace}); `rewrite: {{environment: false}}` turns" in done.stderr
    world.write(head + "{rewrite: {environment: false}}\n")
    await world.devcluster("up", "-d")
    assert (await world.status())["rewrites"] == []
