"""Images at their registries: what they are called, and what is asked for."""

from __future__ import annotations

import pytest

from devcluster.rules.container.image import (
    Reference,
    choose_manifest,
    parse_challenge,
    parse_reference,
)

HUB = "registry-1.docker.io"


@pytest.mark.parametrize(
    ("text", "image_id", "expected"),
    [
        ("nginx", "", Reference(HUB, "library/nginx", "latest")),
        ("nginx:1.27", "", Reference(HUB, "library/nginx", "1.27")),
        ("docker.io/library/nginx", "", Reference(HUB, "library/nginx", "latest")),
        ("hashicorp/http-echo", "", Reference(HUB, "hashicorp/http-echo", "latest")),
        ("ghcr.io/shop/web:1", "", Reference("ghcr.io", "shop/web", "1")),
        ("localhost/web", "", Reference("localhost", "web", "latest")),
        ("localhost:5000/a/b/web:2", "", Reference("localhost:5000", "a/b/web", "2")),
        ("web@sha256:aa", "", Reference(HUB, "library/web", "sha256:aa")),
        ("web:1@sha256:aa", "", Reference(HUB, "library/web", "sha256:aa")),
        ("web:1", "docker.io/library/web@sha256:bb", Reference(HUB, "library/web", "sha256:bb")),
        ("web:1", "docker-pullable://ghcr.io/w@sha256:bb", Reference("ghcr.io", "w", "sha256:bb")),
        ("web:1", "sha256:bb", Reference(HUB, "library/web", "1")),
    ],
)
def test_a_name_as_a_registry_wants_it(text: str, image_id: str, expected: Reference) -> None:
    assert parse_reference(text, image_id) == expected


def test_only_this_machine_is_asked_without_tls() -> None:
    assert Reference("127.0.0.1:5000", "a", "1").url == "http://127.0.0.1:5000"
    assert Reference("localhost", "a", "1").url == "http://localhost"
    assert Reference("127.0.0.1.example.com", "a", "1").url == "https://127.0.0.1.example.com"
    assert Reference(HUB, "a", "1").credentials_key == "https://index.docker.io/v1/"
    assert Reference("ghcr.io", "a", "1").credentials_key == "ghcr.io"


def test_one_of_several_machines() -> None:
    def entry(system: str, machine: str) -> dict[str, object]:
        return {"digest": f"sha256:{machine}", "platform": {"os": system, "architecture": machine}}

    arm, amd, windows = entry("linux", "arm64"), entry("linux", "amd64"), entry("windows", "amd64x")
    assert (
        choose_manifest({"manifests": [windows, arm, amd, {"digest": "sha256:attestation"}]})
        == "sha256:amd64"
    )
    assert choose_manifest({"manifests": [windows, arm]}) == "sha256:arm64"
    assert choose_manifest({"manifests": [windows]}) == ""


def test_a_challenge() -> None:
    header = 'Bearer realm="https://auth.example.com/token",service="reg",scope="repository:a/b:pull,push"'
    assert parse_challenge(header) == (
        "bearer",
        {"realm": "https://auth.example.com/token", "service": "reg", "scope": "repository:a/b:pull,push"},
    )
    assert parse_challenge('Basic realm="x"') == ("basic", {"realm": "x"})
    assert parse_challenge("") == ("", {})
