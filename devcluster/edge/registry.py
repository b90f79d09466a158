"""What an image says about itself, asked from its registry: a few kilobytes, and no Docker.

The problem: a pod whose template has no command runs the command of its image, and the agent must start
exactly that.  A laptop without Docker has no image, and even with Docker it would be a waste to pull a
gigabyte for one line.

Rules:
- it asks for the manifest, and for the configuration that the manifest names, whose digest must match;
- it uses docker's own credentials (``config.json``, or the helper that it names).  They go to the registry
  and to the token server that the registry names, never to where the registry redirects;
- it speaks plain HTTP only with a registry on this machine.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from devcluster.errors import ConfigurationError
from devcluster.rules.container.image import (
    ImageFacts,
    Reference,
    choose_manifest,
    parse_challenge,
    parse_image,
    parse_reference,
)

Json = dict[str, Any]
_TIMEOUT = 15.0  # seconds for one answer
_LARGEST = 8 << 20  # bytes
_KINDS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


async def read_image(reference: str, image_id: str = "") -> ImageFacts:
    """What image *reference* says.  *image_id*: the id that its pod reports, which names exactly that image.

    ConfigurationError where its registry can't be asked, or does not know it.
    """
    name = parse_reference(reference, image_id)
    try:
        return await asyncio.to_thread(_Registry(name).read)
    except (OSError, ValueError, KeyError) as error:
        told = (
            str(error) if isinstance(error, OSError) else f"its answer can't be read ({type(error).__name__})"
        )
        raise ConfigurationError(
            f"registry {name.host} does not say what image {reference} is: {told}"
        ) from error


class _Registry:
    """One conversation about one image; blocking."""

    def __init__(self, name: Reference) -> None:
        self._name = name
        self._opener = urllib.request.build_opener(_Redirects)
        self._authorization = ""

    def read(self) -> ImageFacts:
        manifest = json.loads(self._get(f"manifests/{self._name.version}"))
        several = "manifests" in manifest
        if several:
            manifest = json.loads(self._get(f"manifests/{choose_manifest(manifest)}"))
        digest = manifest["config"]["digest"]
        content = self._get(f"blobs/{digest}")
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise ValueError("another configuration came")
        found = json.loads(content)
        machine = "" if several else found.get("architecture", "")  # any of several says the same command
        return parse_image({"Id": digest, "Config": found.get("config"), "Architecture": machine})

    def _get(self, path: str) -> bytes:
        url = f"{self._name.url}/v2/{self._name.path}/{path}"
        try:
            return self._ask(url, self._authorization)
        except urllib.error.HTTPError as error:
            if error.code != 401 or self._authorization:
                raise
            self._authorization = self._authorize(error.headers.get("WWW-Authenticate") or "")
        return self._ask(url, self._authorization)

    def _ask(self, url: str, authorization: str) -> bytes:
        request = urllib.request.Request(url, headers={"Accept": _KINDS, "User-Agent": "devcluster"})  # noqa: S310
        if authorization:
            request.add_header("Authorization", authorization)
        with self._opener.open(request, timeout=_TIMEOUT) as answer:
            content: bytes = answer.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError("too large")
        return content

    def _authorize(self, challenge: str) -> str:
        """The Authorization that the registry asks for in its answer 401."""
        kind, asked = parse_challenge(challenge)
        own = _credentials(self._name.credentials_key)
        basic = f"Basic {base64.b64encode(own.encode()).decode()}" if own else ""
        if kind == "basic":
            return basic
        realm = asked.pop("realm", "")
        if not realm.startswith(("https://", f"{self._name.url}/")):
            raise ValueError("it names no token server")
        query = urllib.parse.urlencode({"service": asked.get("service", ""), "scope": self._scope(asked)})
        told = json.loads(self._ask(f"{realm}?{query}", basic))
        return f"Bearer {told.get('token') or told['access_token']}"

    def _scope(self, asked: Json) -> str:
        return str(asked.get("scope") or f"repository:{self._name.path}:pull")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A blob may be stored elsewhere: that server has a signature in its URL and must not see our token."""

    def redirect_request(self, *words: Any) -> urllib.request.Request | None:
        request = super().redirect_request(*words)
        if request is not None:
            request.headers.pop("Authorization", None)
        return request


def _credentials(key: str) -> str:
    """``USER:PASSWORD`` for the registry *key*, as docker stores it; '' where it has none."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    try:
        config = json.loads(Path(folder, "config.json").read_text())
    except (OSError, ValueError):
        return ""
    helper = (config.get("credHelpers") or {}).get(key) or config.get("credsStore")
    if helper and (told := _ask_helper(helper, key)):
        return told
    own = (config.get("auths") or {}).get(key) or {}
    return base64.b64decode(own.get("auth") or "").decode()


def _ask_helper(helper: str, key: str) -> str:
    command = [f"docker-credential-{helper}", "get"]
    try:
        done = subprocess.run(
            command, input=key, capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
        told = json.loads(done.stdout)
        return f"{told['Username']}:{told['Secret']}"
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return ""  # it knows none
