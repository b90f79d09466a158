"""Images: which one is meant, and what the laptop knows of it.

Choosing an image and obtaining it are two things.  Choosing changes nothing, and `plan` does it too;
obtaining may take minutes, and only `up` does it.  Of an image that is not here yet only the name is known,
not its command or stop signal.  If it will not run here, its registry tells those without a pull.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image as Docker's inspect gives it."""

    id: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    stop_signal: str | None
    user: str
    working_dir: str
    architecture: str
    variables: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class ImageChoice:
    """``reference``: as the pod or the file names it; ``exact``: the pod's id or digest of it, or ''.

    ``facts``: of the image that is here, or None.  ``source``: what has to be pulled, '' where what is here
    will do.  ``same``: whether the pulled image must have *exact* for its id.  ``other``: the id of another
    image that is here under this name, or ''.
    """

    reference: str
    exact: str
    facts: ImageFacts | None
    source: str = ""
    same: bool = False
    other: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image at its registry.  ``host``: as it is reached; ``version``: a tag or a digest."""

    host: str
    path: str
    version: str

    @property
    def url(self) -> str:
        """Without TLS only on this machine, as Docker does."""
        local = self.host.rpartition(":")[0] in ("127.0.0.1", "localhost") or self.host == "localhost"
        return f"{'http' if local else 'https'}://{self.host}"

    @property
    def credentials_key(self) -> str:
        """How docker's configuration calls the registry."""
        return "https://index.docker.io/v1/" if self.host == _HUB else self.host


def parse_reference(text: str, image_id: str = "") -> Reference:
    """``nginx``, ``ghcr.io/shop/web:1``, ``web@sha256:…``; *image_id*: as its pod reports it, which counts
    where a registry knows it (``repo@sha256:…``).

    Source: https://github.com/distribution/reference
    """
    exact = image_id.rpartition("://")[2]
    name, _, digest = (exact if "@sha256:" in exact else text).partition("@")
    first, _, rest = name.partition("/")
    host, path = (first, rest) if rest and (set(".:") & set(first) or first == "localhost") else ("", name)
    path, tag = _without_tag(path)
    if host in ("", "docker.io", "index.docker.io"):
        host, path = _HUB, path if "/" in path else f"library/{path}"
    return Reference(host, path, digest or tag or "latest")


def _without_tag(path: str) -> tuple[str, str]:
    head, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    return f"{head}{slash}{name}", tag


def choose_manifest(index: Json) -> str:
    """The digest of one of several manifests for Linux, amd64 if there is one."""
    found = {
        item["platform"].get("architecture"): str(item["digest"])
        for item in index["manifests"]
        if (item.get("platform") or {}).get("os") == "linux"
    }
    return found.get("amd64") or next(iter(found.values()), "")


def parse_challenge(header: str) -> tuple[str, dict[str, str]]:
    """``Bearer realm="…",service="…",scope="…"``: its kind in small letters, and what it says.

    Source: RFC 9110, 11.6.1
    """
    kind, _, rest = header.partition(" ")
    pairs = re.findall(r'([A-Za-z_]+)="([^"]*)"', rest)
    return kind.lower(), {name.lower(): value for name, value in pairs}


def parse_image(found: Json) -> ImageFacts:
    """An image as the engine's inspect, or its own configuration, tells it."""
    config = found.get("Config") or {}
    pairs = (item.partition("=") for item in config.get("Env") or ())
    return ImageFacts(
        id=found["Id"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        stop_signal=config.get("StopSignal") or None,
        user=config.get("User") or "",
        working_dir=config.get("WorkingDir") or "",
        architecture=found.get("Architecture") or "",
        variables=tuple((name, value) for name, _, value in pairs),
    )
