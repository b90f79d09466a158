"""What a webhook adds to a pod is mirrored like what its template says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.scenarios.python_world import get, serve
from tests.scenarios.webhook import injecting
from tests.scenarios.world import Json, World

_SERVE = "serve(8080)\n"
_TOKEN = "/var/run/secrets/eks.example/serviceaccount/token"  # noqa: S105 - a path


def _claims(token: str) -> Json:
    payload = token.split(".")[1]
    found: Json = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


async def _serve(world: World, image: str) -> None:
    """A Deployment ``web`` that says nothing of volumes, with the label that the webhook wants."""
    await serve(world, "web", image, _SERVE, env={"WHO": "original"}, labels={"inject": "yes"})


async def test_an_identity_token_that_a_webhook_adds(world: World, python: str) -> None:
    """As a cloud's pod identity webhook does it: a projected token and the variable that names it."""
    source = {"audience": "sts.example", "expirationSeconds": 86400, "path": "token"}
    patch: list[Json] = [
        {
            "op": "add",
            "path": "/spec/volumes/-",
            "value": {"name": "aws-iam-token", "projected": {"sources": [{"serviceAccountToken": source}]}},
        },
        {
            "op": "add",
            "path": "/spec/containers/0/volumeMounts/-",
            "value": {
                "name": "aws-iam-token",
                "readOnly": True,
                "mountPath": "/var/run/secrets/eks.example/serviceaccount",
            },
        },
        {
            "op": "add",
            "path": "/spec/containers/0/env",
            "value": [{"name": "AWS_WEB_IDENTITY_TOKEN_FILE", "value": _TOKEN}],
        },
    ]
    async with injecting(world, python, patch):
        await _serve(world, python)
        world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
        planned = (await world.devcluster("plan")).stdout
        assert (
            "volume aws-iam-token (/var/run/secrets/eks.example/serviceaccount): copy, kept fresh" in planned
        )
        await world.devcluster("up", "-d")
        read = await world.devcluster("exec", "web", "--", "sh", "-c", "cat $AWS_WEB_IDENTITY_TOKEN_FILE")
        claims = _claims(read.stdout)
        assert claims["aud"] == ["sts.example"]
        pods = [pod["name"] for pod in (await world.status())["pods"]]
        assert claims["kubernetes.io"]["pod"]["name"] in pods
        assert (await world.devcluster("up", "-d")).stdout.split()[1] == "unchanged"
        await world.devcluster("down")
    assert world.docker_leftovers() == []


_AGENT = r"""
import os, time
print("rendered", flush=True)
time.sleep(3600)
"""


@pytest.mark.slow
async def test_a_secret_injector_that_comes_while_the_application_runs(world: World, python: str) -> None:
    """As a Vault injector does it: a volume in memory, an init container that fills it, a sidecar and a
    variable.  The pods that run when `up` reads them have nothing of it; those with the agent have."""
    await _serve(world, python)
    fill = (
        "umask 077; printf 'user=app\npassword=pw\n' > /vault/secrets/database; "
        "chown 1001:1001 /vault/secrets/database"
    )
    mount = {"name": "vault-secrets", "mountPath": "/vault/secrets"}
    init = {
        "name": "vault-agent-init",
        "image": python,
        "command": ["sh", "-c", fill],
        "volumeMounts": [mount],
    }
    sidecar = {
        "name": "vault-agent",
        "image": python,
        "command": ["python3", "-uc", _AGENT],
        "volumeMounts": [mount],
    }
    volume = {"name": "vault-secrets", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    variable = {"name": "VAULT_ADDR", "value": "http://vault.example:8200"}
    patch: list[Json] = [
        {"op": "add", "path": "/spec/volumes/-", "value": volume},
        {"op": "add", "path": "/spec/initContainers", "value": [init]},
        {"op": "add", "path": "/spec/containers/0/volumeMounts/-", "value": mount},
        {"op": "add", "path": "/spec/containers/0/env/-", "value": variable},
        {"op": "add", "path": "/spec/containers/-", "value": sidecar},
    ]
    async with injecting(world, python, patch):
        world.write(
            f"name: shop\nnamespace: {world.namespace}\n"
            "workloads: {web: {target: deployment/web/web, environment: {WHO: local}}}\n"
        )
        await world.devcluster("up", "-d")
        look = (
            "stat -f -c %T /vault/secrets; df -k --output=size /vault/secrets | tail -1; cd /vault/secrets; "
            "stat -c '%a %u' database; cat database"
        )
        seen = world.in_local("web", "sh", "-c", look).stdout.split()
        assert seen == ["tmpfs", "1024", "600", "1001", "user=app", "password=pw"]
        variables: Any = await get(world, python, "http://web:8080/")
        assert (variables["WHO"], variables["VAULT_ADDR"]) == ("local", "http://vault.example:8200")
        rows = {row["name"]: row for row in (await world.status())["volumes"]}
        assert (rows["vault-secrets"]["mode"], rows["vault-secrets"]["files"]) == ("memory", 1)
        await world.devcluster("down")
    assert world.docker_leftovers() == []
    assert await world.cluster_leftovers() == []


@pytest.mark.slow
async def test_a_policy_that_hardens_the_pod(world: World, python: str) -> None:
    """As mutations by Kyverno or Gatekeeper do it: user, read-only root, capabilities and escalation are not
    in the template."""
    context: Json = {"runAsUser": 1234, "runAsGroup": 1234, "readOnlyRootFilesystem": True}
    context |= {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}
    patch: list[Json] = [{"op": "add", "path": "/spec/containers/0/securityContext", "value": context}]
    async with injecting(world, python, patch):
        await _serve(world, python)
        world.write(f"name: shop\nnamespace: {world.namespace}\nworkloads: {{web: {{}}}}\n")
        await world.devcluster("up", "-d")
        look = "id -u; grep -E 'CapBnd|NoNewPrivs' /proc/1/status; touch /tmp/x 2>&1"
        seen = world.in_local("web", "sh", "-c", look).stdout
        assert seen.split()[:5] == ["1234", "CapBnd:", f"{1:016x}", "NoNewPrivs:", "1"], seen
        assert "Read-only file system" in seen
        await world.devcluster("down")
    assert world.docker_leftovers() == []
